using Kvasir.Cli.Tests.Fixtures;

namespace Kvasir.Cli.Tests;

/// <summary>Where the demo model is found: beside an installed program, and above one that was built in a clone.</summary>
public sealed class DemoModelTests(CommandLine line)
{
    [Theory]
    [InlineData("installed")]
    [InlineData("clone/artifacts/bin/Kvasir.Cli/release")]
    public void The_demo_is_found_from_where_the_program_lies(string program)
    {
        var folder = line.Path(program);
        Copy(CommandLine.Program, folder);
        var demo = Path.Combine(line.Path(program.Split('/')[0]), "models", "demo");
        Directory.CreateDirectory(demo);
        File.Copy(line.Gguf, Path.Combine(demo, "kvasir-demo.gguf"));
        var outcome = CommandLine.RunIn(folder, "hello\n", [], "chat", "--max-tokens", "2");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.NotEqual("", outcome.Output);
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.EnumerateFiles(from).Where(file => !Path.GetFileName(file).Contains("xunit", StringComparison.Ordinal)))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }
}

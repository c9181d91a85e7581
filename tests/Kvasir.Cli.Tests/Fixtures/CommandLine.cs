using System.Diagnostics;
using System.Text;
using Kvasir.Synthesis;

[assembly: AssemblyFixture(typeof(Kvasir.Cli.Tests.Fixtures.CommandLine))]

namespace Kvasir.Cli.Tests.Fixtures;

/// <summary>What a command printed, and how it ended.</summary>
public sealed record Outcome(int Code, string Output, string Error);

/// <summary>Runs <c>kvasir</c> as a process, with tiny random models at hand.</summary>
public sealed class CommandLine : IDisposable
{
    private readonly DirectoryInfo folder = System.IO.Directory.CreateTempSubdirectory("kvasir-cli-");

    /// <summary>Writes the models.</summary>
    public CommandLine()
    {
        var tiny = SyntheticModel.Tiny(SyntheticFamily.Llama);
        SyntheticCheckpoint.Write(Gguf, tiny);
        SyntheticCheckpoint.Write(HuggingFace, SyntheticModel.Tiny(SyntheticFamily.Qwen2));
    }

    /// <summary>The folder of the program itself: beside the tests lie its assemblies too, but with what the tests depend on.</summary>
    public static string Program { get; } = System.IO.Path.GetFullPath(System.IO.Path.Combine(
        AppContext.BaseDirectory, "..", "..", "Kvasir.Cli", new DirectoryInfo(AppContext.BaseDirectory).Name)) + System.IO.Path.DirectorySeparatorChar;

    /// <summary>A GGUF file.</summary>
    public string Gguf => Path("tiny.gguf");

    /// <summary>A Hugging Face folder.</summary>
    public string HuggingFace => Path("tiny-hf");

    /// <summary>A name in the folder that goes with the tests.</summary>
    public string Path(string name) => System.IO.Path.Combine(folder.FullName, name);

    /// <summary>Writes a file and gives its path.</summary>
    public string Write(string name, string text)
    {
        File.WriteAllText(Path(name), text);
        return Path(name);
    }

    /// <summary>Runs a command to its end.</summary>
    public static Outcome Run(params string[] arguments) => RunWith("", [], arguments);

    /// <summary>Runs a command that reads <paramref name="input"/>, with environment variables of its own.</summary>
    public static Outcome RunWith(string input, Dictionary<string, string> environment, params string[] arguments) =>
        RunIn(Program, input, environment, arguments);

    /// <summary>The same with the program that lies in <paramref name="program"/>.</summary>
    public static Outcome RunIn(string program, string input, Dictionary<string, string> environment, params string[] arguments)
    {
        using var process = StartIn(program, environment, arguments);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        if (!process.WaitForExit(TimeSpan.FromMinutes(2)))
        {
            process.Kill();
            Assert.Fail($"kvasir {string.Join(' ', arguments)} did not end: {output.Result}{error.Result}");
        }
        return new Outcome(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Starts a command whose streams are pipes.</summary>
    public static Process Start(Dictionary<string, string> environment, params string[] arguments) =>
        StartIn(Program, environment, arguments);

    private static Process StartIn(string program, Dictionary<string, string> environment, string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [System.IO.Path.Combine(program, "kvasir.dll"), .. arguments])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8, StandardInputEncoding = new UTF8Encoding(false), StandardErrorEncoding = Encoding.UTF8,
            WorkingDirectory = program,
        };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>Removes the models.</summary>
    public void Dispose() => folder.Delete(recursive: true);
}

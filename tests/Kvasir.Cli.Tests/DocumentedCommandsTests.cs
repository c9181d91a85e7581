using System.Text.RegularExpressions;
using Kvasir.Cli.Tests.Fixtures;

namespace Kvasir.Cli.Tests;

/// <summary>Every <c>./kvasir</c> in README and docs is a command that exists, with options that it takes.</summary>
public sealed partial class DocumentedCommandsTests
{
    private static readonly string Root = FindRoot();

    [Fact]
    public void Commands_and_options_in_the_docs_exist()
    {
        var unknown = new List<string>();
        var help = new Dictionary<string, string>();
        var lines = 0;
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories).Append(Path.Combine(Root, "README.md")))
        {
            foreach (var line in File.ReadLines(file).SelectMany(line => Command().Matches(line)))
            {
                lines++;
                var words = line.Groups[1].Value.Split('#')[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                var command = words is ["bench", ..] ? string.Join(' ', words.Take(2)) : words[0];
                if (!help.TryGetValue(command, out var text)) help[command] = text = Help(command);
                if (text.Length == 0) unknown.Add($"{Path.GetFileName(file)}: {command}");
                else unknown.AddRange(words.Select(word => word.Trim('(', ')')).Where(word => Option().IsMatch(word) && !Regex.IsMatch(text, $@"(?<![\w-]){Regex.Escape(word)}(?![\w-])")).Select(word => $"{Path.GetFileName(file)}: {command} {word}"));
            }
        }
        Assert.Empty(unknown);
        Assert.True(lines > 20, $"Only {lines} commands were found in the docs.");
    }

    private static string Help(string command)
    {
        var outcome = CommandLine.Run([.. command.Split(' '), "--help"]);
        return outcome.Code == 0 && outcome.Output.Contains($"kvasir {command}", StringComparison.Ordinal) ? outcome.Output : "";
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Kvasir.slnx"))) folder = folder.Parent!;
        return folder.FullName;
    }

    [GeneratedRegex(@"(?:^|^\$ |`)\./kvasir ([a-z-]+[^`]*)")]
    private static partial Regex Command();

    [GeneratedRegex("^--[a-z-]+$")]
    private static partial Regex Option();
}

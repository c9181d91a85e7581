using System.Text.RegularExpressions;

namespace Kvasir.SystemTests;

/// <summary>Style that fails the build: sizes, names, leftovers.</summary>
public sealed partial class TidinessTests
{
    private const int FileLineLimit = 600;
    private const int MethodLineLimit = 70;
    private const int KernelMethodLineLimit = 120;

    private static readonly string[] Everywhere = ["src", "tests", "tools", "bench"];

    [Fact]
    public void Files_are_short()
    {
        var long_ = Repository.SourceFiles(Everywhere)
            .Where(file => !IsData(file))
            .Select(file => (file, lines: Repository.Lines(file).Length))
            .Where(entry => entry.lines > FileLineLimit)
            .Select(entry => $"{entry.file}: {entry.lines} lines, at most {FileLineLimit}");
        Assert.Empty(long_);
    }

    [Fact]
    public void Methods_are_short()
    {
        var long_ = Repository.SourceFiles("src", "tools", "bench")
            .Where(file => !IsData(file))
            .SelectMany(file => MethodLengths(file)
                .Where(method => method.Lines > Limit(file))
                .Select(method => $"{file}:{method.Start}: {method.Lines} lines, at most {Limit(file)}"));
        Assert.Empty(long_);

        static int Limit(string file) =>
            file.StartsWith("src/Kvasir.Kernels/", StringComparison.Ordinal) ? KernelMethodLineLimit : MethodLineLimit;
    }

    [Fact]
    public void No_drawers_without_a_name()
    {
        Assert.DoesNotContain(Repository.SourceFiles(Everywhere), file => DrawerPattern().IsMatch(file));
        var types = Repository.SourceFiles("src").SelectMany(file => TypePattern().Matches(Repository.Read(file))
            .Select(match => $"{file}: {match.Groups[1].Value}"));
        Assert.DoesNotContain(types, type => type.EndsWith("Manager", StringComparison.Ordinal)
            || type.EndsWith("Helper", StringComparison.Ordinal) || type.EndsWith("Helpers", StringComparison.Ordinal)
            || type.EndsWith("Util", StringComparison.Ordinal) || type.EndsWith("Utils", StringComparison.Ordinal));
    }

    [Fact]
    public void Nothing_is_left_for_later()
    {
        var leftovers = Repository.SourceFiles("src", "tools", "bench")
            .SelectMany(file => Repository.Lines(file)
                .Where(line => LeftoverPattern().IsMatch(line))
                .Select(line => $"{file}: {line.Trim()}"));
        Assert.Empty(leftovers);
    }

    [Fact]
    public void Every_package_is_justified()
    {
        var justified = Repository.Read("docs/dependencies.md");
        var packages = PackagePattern().Matches(Repository.Read("Directory.Packages.props")).Select(match => match.Groups[1].Value);
        Assert.All(packages, package => Assert.Contains($"| {package} |", justified, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_listed_package_is_used()
    {
        var projects = string.Concat(Directory.EnumerateFiles(Repository.Root, "*.csproj", SearchOption.AllDirectories)
            .Append(Path.Combine(Repository.Root, "Directory.Build.targets")).Select(File.ReadAllText));
        var packages = PackagePattern().Matches(Repository.Read("Directory.Packages.props")).Select(match => match.Groups[1].Value);
        Assert.All(packages, package => Assert.Contains($"<PackageReference Include=\"{package}\"", projects, StringComparison.Ordinal));
    }

    /// <summary>Tables of constants may be as long as they are.</summary>
    private static bool IsData(string file) =>
        file.EndsWith(".Data.cs", StringComparison.Ordinal) || file.EndsWith("Table.cs", StringComparison.Ordinal);

    /// <summary>Bodies at the indentation of members: from a line that ends a signature to its closing brace.</summary>
    private static IEnumerable<(int Start, int Lines)> MethodLengths(string file)
    {
        var lines = Repository.Lines(file);
        for (var i = 0; i < lines.Length; i++)
        {
            if (!OpeningBrace().IsMatch(lines[i]) || i == 0 || !SignatureEnd().IsMatch(lines[i - 1])) continue;
            var indent = lines[i].Length - lines[i].TrimStart().Length;
            var close = Array.FindIndex(lines, i + 1, line => line.StartsWith(new string(' ', indent) + "}", StringComparison.Ordinal));
            if (close < 0) continue;
            yield return (i, close - i + 1);
        }
    }

    [GeneratedRegex(@"^( {4}| {8})\{$")]
    private static partial Regex OpeningBrace();

    [GeneratedRegex(@"\)( where .*)?$")]
    private static partial Regex SignatureEnd();

    [GeneratedRegex(@"/(Core|Common|Abstractions|Utils?|Helpers?|Misc|Shared)/")]
    private static partial Regex DrawerPattern();

    [GeneratedRegex(@"\b(?:class|struct|record|interface|enum)\s+([A-Za-z_][A-Za-z0-9_]*)")]
    private static partial Regex TypePattern();

    [GeneratedRegex(@"NotImplementedException|\b(TODO|FIXME|HACK|XXX)\b")]
    private static partial Regex LeftoverPattern();

    [GeneratedRegex("<PackageVersion Include=\"([^\"]+)\"")]
    private static partial Regex PackagePattern();
}

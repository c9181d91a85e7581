using System.Text.RegularExpressions;

namespace Kvasir.SystemTests;

/// <summary>The rules of docs/concepts/architecture.md that a machine can hold.</summary>
public sealed partial class ArchitectureTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Kvasir.Checkpoints"] = [],
        ["Kvasir.Kernels"] = [],
        ["Kvasir.Protocol"] = [],
        ["Kvasir.Planning"] = ["Kvasir.Checkpoints"],
        ["Kvasir.Engine"] = ["Kvasir.Checkpoints", "Kvasir.Planning", "Kvasir.Kernels", "Kvasir.Protocol"],
        ["Kvasir.Embedded"] = ["Kvasir.Engine", "Kvasir.Checkpoints", "Kvasir.Planning", "Kvasir.Protocol"],
        ["Kvasir.Server"] = ["Kvasir.Embedded", "Kvasir.Engine", "Kvasir.Checkpoints", "Kvasir.Planning", "Kvasir.Protocol"],
        ["Kvasir.Adapters"] = ["Kvasir.Planning", "Kvasir.Protocol"],
        ["Kvasir.Gateway"] = ["Kvasir.Checkpoints", "Kvasir.Protocol", "Kvasir.Adapters"],
        ["Kvasir.Simulation"] = ["Kvasir.Engine", "Kvasir.Gateway", "Kvasir.Planning", "Kvasir.Protocol"],
        ["Kvasir.Deployment"] = ["Kvasir.Planning", "Kvasir.Checkpoints", "Kvasir.Adapters"],
    };

    [Fact]
    public void Projects_reference_only_what_the_table_allows()
    {
        foreach (var (project, references) in Repository.ProjectReferences("src"))
        {
            if (project == "Kvasir.Cli") continue;
            Assert.True(Allowed.TryGetValue(project, out var allowed), $"{project} is not in the table of allowed references.");
            Assert.All(references, reference => Assert.Contains(reference, allowed));
        }
    }

    [Fact]
    public void A_project_exists_only_with_code_in_it()
    {
        foreach (var project in Repository.ProjectReferences("src").Keys)
            Assert.NotEmpty(Repository.SourceFiles($"src/{project}"));
    }

    [Fact]
    public void Only_the_kernels_are_unsafe()
    {
        var offenders = Repository.SourceFiles("src")
            .Where(file => !file.StartsWith("src/Kvasir.Kernels/", StringComparison.Ordinal))
            .Where(file => UnsafePattern().IsMatch(Repository.Read(file)));
        Assert.Empty(offenders);
    }

    [Fact]
    public void Product_projects_show_their_internals_to_their_own_tests_alone()
    {
        foreach (var project in Directory.EnumerateFiles(Path.Combine(Repository.Root, "src"), "*.csproj", SearchOption.AllDirectories))
            foreach (Match match in InternalsPattern().Matches(File.ReadAllText(project)))
                Assert.EndsWith("Tests", match.Groups[1].Value, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"^\s*[^/\n]*\bunsafe\b\s+(static|class|struct|void|partial|delegate|\{|public|private|internal)", RegexOptions.Multiline)]
    private static partial Regex UnsafePattern();

    [GeneratedRegex("<InternalsVisibleTo Include=\"([^\"]+)\"")]
    private static partial Regex InternalsPattern();
}

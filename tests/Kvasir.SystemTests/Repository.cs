using System.Text.RegularExpressions;

namespace Kvasir.SystemTests;

/// <summary>The repository's own files, as a newcomer's clone would have them.</summary>
internal static partial class Repository
{
    public static readonly string Root = FindRoot();

    /// <summary>Every C# file below the folder, without build outputs; paths relative to the root with '/'.</summary>
    public static IEnumerable<string> SourceFiles(params string[] folders) =>
        from folder in folders
        let top = Path.Combine(Root, folder)
        where Directory.Exists(top)
        from file in Directory.EnumerateFiles(top, "*.cs", SearchOption.AllDirectories)
        let relative = Path.GetRelativePath(Root, file).Replace('\\', '/')
        where !relative.Contains("/obj/", StringComparison.Ordinal) && !relative.Contains("/bin/", StringComparison.Ordinal)
        orderby relative
        select relative;

    public static string Read(string relative) => File.ReadAllText(Path.Combine(Root, relative));

    public static string[] Lines(string relative) => File.ReadAllLines(Path.Combine(Root, relative));

    /// <summary>Project name → names of the projects it references, from the project files.</summary>
    public static IReadOnlyDictionary<string, string[]> ProjectReferences(string folder) =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories).ToDictionary(
            file => Path.GetFileNameWithoutExtension(file),
            file => ReferencePattern().Matches(File.ReadAllText(file))
                .Select(match => Path.GetFileNameWithoutExtension(match.Groups[1].Value.Replace('\\', '/')))
                .ToArray());

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Kvasir.slnx"))) return folder.FullName;
        throw new InvalidOperationException($"No Kvasir.slnx above {AppContext.BaseDirectory}.");
    }

    [GeneratedRegex("<ProjectReference Include=\"([^\"]+)\"")]
    private static partial Regex ReferencePattern();
}

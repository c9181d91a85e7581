using System.Text.Json;

namespace Kvasir.Planning.Tests.Reference;

/// <summary>Measured and published numbers that stand beside the repository, in shared/data.</summary>
internal static class ReferenceData
{
    public static string Repository { get; } = FindUp("Kvasir.slnx")!;

    public static string? Folder { get; } = Find();

    public static void Require() => Assert.SkipUnless(Folder is not null, "The reference data (shared/data beside the repository) is not here.");

    public static JsonElement Json(string name)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder!, name)));
        return document.RootElement.Clone();
    }

    private static string? Find() => Directory.Exists(Path.Combine(Repository, "..", "shared", "data")) ? Path.Combine(Repository, "..", "shared", "data") : null;

    private static string? FindUp(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, name))) return folder.FullName;
        return null;
    }
}

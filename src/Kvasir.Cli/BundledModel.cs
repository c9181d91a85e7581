namespace Kvasir.Cli;

/// <summary>Finds models that come with Kvasir.</summary>
internal static class BundledModel
{
    /// <summary>The model in models/<paramref name="name"/> beside the program (an installed folder) or above it (a clone); null where there is none.</summary>
    public static string? Find(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (In(Path.Combine(folder.FullName, "models", name)) is { } model) return model;
        return null;
    }

    private static string? In(string folder) => !Directory.Exists(folder) ? null
        : Directory.EnumerateFiles(folder, "*.gguf").Order(StringComparer.Ordinal).FirstOrDefault()
            ?? (File.Exists(Path.Combine(folder, "config.json")) ? folder : null);
}

using Kvasir.Checkpoints;

namespace Kvasir.Cli;

/// <summary>Finds the model that comes with Kvasir.</summary>
public static class DemoModel
{
    /// <summary>The environment variable that names another one.</summary>
    public const string Variable = "KVASIR_DEMO";

    /// <summary>The file or folder to use when none is named; an error says how to name one.</summary>
    public static string Path => Find() switch
    {
        null => throw new CheckpointException($"No model was named, and the demo model (models/demo) was not found above {AppContext.BaseDirectory}. Name a model file, or set {Variable}."),
        var path when System.IO.Path.Exists(path) => path,
        var path => throw new CheckpointException($"{Variable} names '{path}', which does not exist. Unset it, or name a model file or folder."),
    };

    /// <summary>
    /// What <see cref="Variable"/> names, whether or not it exists; else the model in models/demo beside the program (an
    /// installed folder) or above it (a clone); null where there is none.
    /// </summary>
    public static string? Find()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named) return named;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (In(System.IO.Path.Combine(folder.FullName, "models", "demo")) is { } model) return model;
        return null;
    }

    private static string? In(string demo) => !Directory.Exists(demo) ? null
        : Directory.EnumerateFiles(demo, "*.gguf").Order(StringComparer.Ordinal).FirstOrDefault()
            ?? (File.Exists(System.IO.Path.Combine(demo, "config.json")) ? demo : null);
}

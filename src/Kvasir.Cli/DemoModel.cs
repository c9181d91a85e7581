using Kvasir.Checkpoints;

namespace Kvasir.Cli;

/// <summary>The model that commands use where none is named.</summary>
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

    /// <summary>What <see cref="Variable"/> names, whether or not it exists; else the model in models/demo; null where there is none.</summary>
    public static string? Find() => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named ? named : BundledModel.Find("demo");
}

using Kvasir.Checkpoints;

namespace Kvasir.Cli;

/// <summary>From what the user wrote to files on this machine.</summary>
public static class LocalModel
{
    /// <summary>A path that exists.</summary>
    public static string Resolve(string model)
    {
        if (File.Exists(model) || Directory.Exists(model)) return model;
        throw new CheckpointException($"'{model}' is neither a file nor a folder here. Give a GGUF file, a Hugging Face folder, or hf:org/name.");
    }
}

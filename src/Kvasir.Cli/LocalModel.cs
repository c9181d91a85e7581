using Kvasir.Checkpoints;
using Kvasir.Checkpoints.Remote;
using Kvasir.Cli.Rendering;

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

    /// <summary>A path that exists; what hf: names is downloaded first, unless the cache has it.</summary>
    /// <param name="model">A path, hf:org/name or hf:org/name/file.gguf.</param>
    /// <param name="cancel">Stops a download; what has arrived is kept.</param>
    public static async Task<string> ResolveAsync(string model, CancellationToken cancel)
    {
        if (!HubModel.IsHubName(model)) return Resolve(model);
        using var line = new DownloadLine(TimeProvider.System);
        return await HubDownload.FetchAsync(HubModel.Parse(model), HubOptions.FromEnvironment(), line, cancel);
    }
}

using System.Collections.Immutable;
using System.Text.Json;
using Kvasir.Checkpoints.Safetensors;

namespace Kvasir.Checkpoints.HuggingFace;

/// <summary>The weight files of a directory: model.safetensors, or the shards that model.safetensors.index.json lists.</summary>
internal static class SafetensorsShards
{
    public static ImmutableArray<SafetensorsFile> Open(string directory)
    {
        var single = Path.Combine(directory, "model.safetensors");
        var index = Path.Combine(directory, "model.safetensors.index.json");
        if (!File.Exists(index))
        {
            return File.Exists(single) ? [SafetensorsFile.Open(single)]
                : throw new CheckpointException($"{directory} has neither model.safetensors nor model.safetensors.index.json. Give a directory with safetensors, or a GGUF file.");
        }
        var map = ReadMap(index);
        var files = new List<SafetensorsFile>();
        try
        {
            foreach (var name in map.Values.Distinct().Order(StringComparer.Ordinal)) files.Add(SafetensorsFile.Open(Path.Combine(directory, name), files.Count));
            CheckMap(map, files, index);
            return [.. files];
        }
        catch
        {
            foreach (var file in files) file.Dispose();
            throw;
        }
    }

    /// <summary>Which shard has which tensor, by the index.</summary>
    public static Dictionary<string, string> ReadMap(string index)
    {
        var fields = new ConfigFields(JsonFile.Read(index).Root, index);
        var map = new Dictionary<string, string>();
        foreach (var entry in (fields.Object("weight_map") ?? throw fields.Missing("weight_map")).EnumerateObject())
        {
            var file = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : "";
            // A shard lies in its own directory: anything else would read files that are none of the model's.
            if (file.Length == 0 || file is "." or ".." || file.AsSpan().ContainsAny('/', '\\', '\0'))
                throw new CheckpointException($"{index}: \"{entry.Name}\" is said to be in \"{file}\", which is not the name of a file beside it.");
            map[entry.Name] = file;
        }
        return map.Count > 0 ? map : throw new CheckpointException($"{index} lists no tensors.");
    }

    private static void CheckMap(Dictionary<string, string> map, List<SafetensorsFile> files, string index)
    {
        var present = new HashSet<(string, string)>();
        foreach (var file in files)
        {
            var name = Path.GetFileName(file.File.FilePath);
            foreach (var tensor in file.Tensors) present.Add((tensor.Name, name));
            foreach (var tensor in file.OtherTypes.Keys) present.Add((tensor, name));
        }
        foreach (var (tensor, file) in map)
            if (!present.Contains((tensor, file)))
                throw new CheckpointException($"{index}: \"{tensor}\" is said to be in {file}, but is not there. Download the checkpoint again.");
    }

    /// <summary>The tensors of all files by name.</summary>
    public static IReadOnlyDictionary<string, TensorEntry> Merge(ImmutableArray<SafetensorsFile> files)
    {
        var tensors = new Dictionary<string, TensorEntry>();
        foreach (var file in files)
            foreach (var tensor in file.Tensors)
                if (!tensors.TryAdd(tensor.Name, tensor))
                    throw new CheckpointException($"{file.File.FilePath} has the tensor \"{tensor.Name}\", which another shard has too.");
        return tensors;
    }
}

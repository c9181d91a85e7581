using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Kvasir.Checkpoints.Gguf;

/// <summary>A model in one file, or in several named name-00001-of-000NN.gguf that carry split.* keys.</summary>
internal static partial class GgufSplit
{
    [GeneratedRegex(@"^(?<name>.*)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();

    /// <summary>Opens the file and, where it is the first of a set, the others.</summary>
    public static ImmutableArray<GgufFile> Open(string path)
    {
        var files = new List<GgufFile> { GgufFile.Open(path) };
        try
        {
            var count = files[0].Metadata.TryGetInt("split.count", out var declared) ? declared : 1;
            if (count <= 1) return [.. files];
            var match = NamePattern().Match(Path.GetFileName(path));
            if (!match.Success || int.Parse(match.Groups["count"].ValueSpan) != count)
                throw new CheckpointException($"{path} is part of a set of {count} files, but is not named …-00001-of-{count:00000}.gguf. Give the files back their names.");
            var name = Path.Combine(Path.GetDirectoryName(path) ?? "", match.Groups["name"].Value);
            if (int.Parse(match.Groups["number"].ValueSpan) != 1)
                throw new CheckpointException($"{path} is not the first of its set; open {name}-00001-of-{count:00000}.gguf.");
            for (var i = 1; i < count; i++) files.Add(GgufFile.Open($"{name}-{i + 1:00000}-of-{count:00000}.gguf", i));
            CheckKeys(files, count);
            return [.. files];
        }
        catch
        {
            foreach (var file in files) file.Dispose();
            throw;
        }
    }

    private static void CheckKeys(List<GgufFile> files, long count)
    {
        for (var i = 0; i < files.Count; i++)
        {
            var metadata = files[i].Metadata;
            if (!metadata.TryGetInt("split.no", out var number) || number != i || !metadata.TryGetInt("split.count", out var claimed) || claimed != count)
                throw new CheckpointException($"{metadata.FilePath} does not say that it is number {i} (from 0) of {count}; it belongs to another set, or is damaged.");
        }
        if (files[0].Metadata.TryGetInt("split.tensors.count", out var tensors) && tensors != files.Sum(file => file.Tensors.Length))
            throw new CheckpointException($"{files[0].Metadata.FilePath} says that its set has {tensors} tensors, but there are {files.Sum(file => file.Tensors.Length)}.");
    }

    /// <summary>The tensors of all files by name.</summary>
    public static IReadOnlyDictionary<string, TensorEntry> Merge(ImmutableArray<GgufFile> files)
    {
        var tensors = new Dictionary<string, TensorEntry>();
        foreach (var file in files)
            foreach (var tensor in file.Tensors)
                if (!tensors.TryAdd(tensor.Name, tensor))
                    throw new CheckpointException($"{file.File.FilePath} has the tensor \"{tensor.Name}\", which another file of its set has too.");
        return tensors;
    }
}

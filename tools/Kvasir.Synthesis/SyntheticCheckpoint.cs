using System.Text.Json.Nodes;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>Writes random models to disk. The same <see cref="SyntheticModel"/> gives the same bytes on every machine.</summary>
public static class SyntheticCheckpoint
{
    /// <summary>Writes a tiny model of a family: a GGUF file, or a directory where <paramref name="path"/> does not end in .gguf.</summary>
    public static SyntheticModel Write(string path, SyntheticFamily family, TensorType type = TensorType.F32, ulong seed = 1)
    {
        var model = SyntheticModel.Tiny(family, type, seed);
        Write(path, model);
        return model;
    }

    /// <summary>Writes a model: a GGUF file, or a directory where <paramref name="path"/> does not end in .gguf.</summary>
    public static void Write(string path, SyntheticModel model)
    {
        if (path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) WriteGguf(path, model);
        else WriteHuggingFace(path, model);
    }

    /// <summary>Writes a GGUF file.</summary>
    public static void WriteGguf(string path, SyntheticModel model, int version = 3) => Gguf(model, SyntheticTensors.Of(model), true, version).Write(path);

    /// <summary>
    /// Writes a Mistral model so that llama.cpp applies its window, which it does not for the architecture "llama": as granite_swa,
    /// which is the same network with factors (here 1) and attention sinks (here so low that they get no weight).
    /// </summary>
    internal static void WriteWindowedForLlamaCpp(string path, SyntheticModel model)
    {
        const string Arch = "granite_swa";
        var writer = Gguf(model, SyntheticTensors.Of(model), true, 3, Arch);
        writer.Float32($"{Arch}.logit_scale", 1).Bools($"{Arch}.attention.sliding_window_pattern", [.. Enumerable.Repeat(true, model.Layers)]);
        for (var i = 0; i < model.Layers; i++) writer.Tensor($"blk.{i}.attn_sinks.weight", [model.Heads], [.. Enumerable.Repeat(-1e9f, model.Heads)]);
        writer.Write(path);
    }

    /// <summary>Writes a GGUF split set name-00001-of-000NN.gguf beside <paramref name="name"/> and returns its first file.</summary>
    public static string WriteGgufSplit(string name, SyntheticModel model, int files)
    {
        var tensors = SyntheticTensors.Of(model);
        string Path(int number) => $"{name}-{number:00000}-of-{files:00000}.gguf";
        var each = (tensors.Count + files - 1) / files;
        for (var i = 0; i < files; i++)
        {
            var writer = Gguf(model, [.. tensors.Skip(i * each).Take(each)], i == 0, 3);
            writer.UInt16("split.no", i).UInt16("split.count", files).Int32("split.tensors.count", tensors.Count + RopeTensors(model));
            writer.Write(Path(i + 1));
        }
        return Path(1);
    }

    private static int RopeTensors(SyntheticModel model) => model.Scaling switch { SyntheticScaling.Llama3 => 1, SyntheticScaling.LongRope => 2, _ => 0 };

    private static GgufWriter Gguf(SyntheticModel model, IReadOnlyList<SyntheticTensor> tensors, bool first, int version, string? architecture = null)
    {
        var writer = new GgufWriter(version);
        if (first)
        {
            SyntheticMetadata.Write(writer, model, new SyntheticTokenizer(model.Vocabulary, model.Words), architecture ?? model.GgufArchitecture);
            SyntheticMetadata.WriteRopeTensors(writer, model);
        }
        foreach (var tensor in tensors)
            writer.Tensor(tensor.Gguf, tensor.Type, tensor.Shape, stream => tensor.Write(stream, model, tensor.Type, gguf: true));
        return writer;
    }

    /// <summary>Writes a directory with safetensors, sharded where <paramref name="shards"/> is above 1.</summary>
    public static void WriteHuggingFace(string directory, SyntheticModel model, int shards = 1)
    {
        Directory.CreateDirectory(directory);
        var tensors = SyntheticTensors.Of(model);
        var each = (tensors.Count + shards - 1) / shards;
        var map = new JsonObject();
        long total = 0;
        for (var i = 0; i < shards; i++)
        {
            var writer = new SafetensorsWriter();
            foreach (var tensor in tensors.Skip(i * each).Take(each))
                writer.Tensor(tensor.HuggingFace, model.Type, tensor.Shape, stream => tensor.Write(stream, model, model.Type, gguf: false));
            var name = shards == 1 ? "model.safetensors" : $"model-{i + 1:00000}-of-{shards:00000}.safetensors";
            foreach (var tensor in writer.Names) map[tensor] = name;
            total += writer.DataBytes;
            writer.Write(Path.Combine(directory, name));
        }
        if (shards > 1)
            Json(directory, "model.safetensors.index.json", new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = total }, ["weight_map"] = map });
        Json(directory, "config.json", SyntheticConfig.Of(model));
        Json(directory, "generation_config.json", new JsonObject { ["bos_token_id"] = SyntheticTokenizer.BeginId, ["eos_token_id"] = new JsonArray(SyntheticTokenizer.EndId) });
        Json(directory, "tokenizer.json", new SyntheticTokenizer(model.Vocabulary, model.Words).ToJson());
        Json(directory, "tokenizer_config.json", SyntheticTokenizer.Configuration());
    }

    private static void Json(string directory, string name, JsonObject content) => File.WriteAllText(Path.Combine(directory, name), content.ToJsonString());
}

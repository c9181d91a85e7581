using Kvasir.Checkpoints;
using Kvasir.Checkpoints.Gguf;

namespace Kvasir.Synthesis.Fuzzing;

/// <summary>A valid checkpoint on disk, of which one file is damaged again and again.</summary>
/// <param name="Name">For messages.</param>
/// <param name="Opened">What is opened.</param>
/// <param name="Damaged">The file to damage.</param>
/// <param name="IsJson">Whether it is JSON.</param>
internal sealed record FuzzTarget(string Name, string Opened, string Damaged, bool IsJson)
{
    private const string Text = "The king's 1234 horses\n\n  <|user|>\u00e9\u4e2d\U0001F600 and\tthe rest";

    private static readonly SyntheticModel Small = new()
    {
        Family = SyntheticFamily.Llama, Hidden = 64, FeedForward = 64, Heads = 4, KeyValueHeads = 2, Layers = 2, Vocabulary = 320, Type = TensorType.Q8_0,
    };

    /// <summary>Writes every target into a folder.</summary>
    public static IReadOnlyList<FuzzTarget> Write(string folder)
    {
        string At(params string[] names) => Path.Combine([folder, .. names]);
        var floats = Small with { Type = TensorType.BF16 };
        SyntheticCheckpoint.WriteGguf(At("v3.gguf"), Small with { Scaling = SyntheticScaling.Llama3 });
        SyntheticCheckpoint.WriteGguf(At("v2.gguf"), Small with { Family = SyntheticFamily.Qwen2 }, version: 2);
        SyntheticCheckpoint.WriteGguf(At("gemma3.gguf"), Small with { Family = SyntheticFamily.Gemma3, Window = 8 });
        SyntheticCheckpoint.WriteGguf(At("phi3.gguf"), Small with { Family = SyntheticFamily.Phi3, Scaling = SyntheticScaling.LongRope });
        var split = SyntheticCheckpoint.WriteGgufSplit(At("split"), Small, 2);
        SyntheticCheckpoint.WriteHuggingFace(At("single"), floats with { Scaling = SyntheticScaling.Yarn });
        SyntheticCheckpoint.WriteHuggingFace(At("shards"), floats with { Family = SyntheticFamily.Gemma3, Window = 8 }, shards: 2);
        SyntheticCheckpoint.WriteHuggingFace(At("longrope"), floats with { Family = SyntheticFamily.Phi3, Scaling = SyntheticScaling.LongRope });
        return
        [
            new("GGUF v3", At("v3.gguf"), At("v3.gguf"), false),
            new("GGUF v2", At("v2.gguf"), At("v2.gguf"), false),
            new("GGUF Gemma 3", At("gemma3.gguf"), At("gemma3.gguf"), false),
            new("GGUF longrope", At("phi3.gguf"), At("phi3.gguf"), false),
            new("GGUF split, first file", split, split, false),
            new("GGUF split, second file", split, split.Replace("00001-of", "00002-of", StringComparison.Ordinal), false),
            new("safetensors", At("single"), At("single", "model.safetensors"), false),
            new("safetensors shard", At("shards"), At("shards", "model-00002-of-00002.safetensors"), false),
            new("safetensors index", At("shards"), At("shards", "model.safetensors.index.json"), true),
            new("config.json", At("single"), At("single", "config.json"), true),
            new("config.json of Gemma 3", At("shards"), At("shards", "config.json"), true),
            new("config.json with longrope", At("longrope"), At("longrope", "config.json"), true),
            new("generation_config.json", At("single"), At("single", "generation_config.json"), true),
            new("tokenizer.json", At("single"), At("single", "tokenizer.json"), true),
            new("tokenizer_config.json", At("single"), At("single", "tokenizer_config.json"), true),
        ];
    }

    /// <summary>Bytes of header in the damaged file; all of it where it is JSON.</summary>
    public int HeaderBytes()
    {
        if (IsJson) return (int)new FileInfo(Damaged).Length;
        if (Damaged.EndsWith(".gguf", StringComparison.Ordinal))
        {
            using var file = GgufFile.Open(Damaged);
            return (int)file.DataStart;
        }
        using var safetensors = Checkpoints.Safetensors.SafetensorsFile.Open(Damaged);
        return (int)safetensors.DataStart;
    }

    /// <summary>Opens the checkpoint and touches what a reader touches: tensors, and text to tokens and back.</summary>
    public void Read()
    {
        using var checkpoint = Checkpoint.Open(Opened);
        _ = checkpoint.Digest;
        foreach (var tensor in checkpoint.AllTensors) _ = checkpoint.Bytes(new TensorView(tensor), tensor.Rows - 1, 1)[0];
        var tokenizer = checkpoint.Tokenizer;
        _ = tokenizer.Decode([.. tokenizer.Encode(Text, addSpecial: true, parseSpecial: true), 0, tokenizer.VocabularySize - 1]);
    }
}

using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>GGUF metadata of a random model, as converters write it for its architecture.</summary>
internal static class SyntheticMetadata
{
    private static readonly Dictionary<TensorType, int> FileTypes = new()
    {
        [TensorType.F32] = 0, [TensorType.F16] = 1, [TensorType.Q4_0] = 2, [TensorType.Q4_1] = 3, [TensorType.Q8_0] = 7,
        [TensorType.Q5_0] = 8, [TensorType.Q5_1] = 9, [TensorType.Q2_K] = 10, [TensorType.Q3_K] = 12, [TensorType.Q4_K] = 15,
        [TensorType.Q5_K] = 17, [TensorType.Q6_K] = 18, [TensorType.IQ4_NL] = 25, [TensorType.IQ4_XS] = 30, [TensorType.BF16] = 32,
        [TensorType.MXFP4] = 38,
    };

    public static void Write(GgufWriter output, SyntheticModel model, SyntheticTokenizer tokenizer, string arch)
    {
        output.Text("general.architecture", arch).Text("general.name", $"Random, {model.Layers} layers")
            .UInt32("general.file_type", FileTypes[model.Type]).UInt32("general.quantization_version", 2)
            .UInt32($"{arch}.context_length", model.Context)
            .UInt32($"{arch}.embedding_length", model.Hidden)
            .UInt32($"{arch}.block_count", model.Layers)
            .UInt32($"{arch}.feed_forward_length", model.FeedForward)
            .UInt32($"{arch}.attention.head_count", model.Heads)
            .UInt32($"{arch}.attention.head_count_kv", model.KeyValueHeads)
            .UInt32($"{arch}.attention.key_length", model.EffectiveHeadSize)
            .UInt32($"{arch}.attention.value_length", model.EffectiveHeadSize)
            .Float32($"{arch}.attention.layer_norm_rms_epsilon", SyntheticConfig.Epsilon)
            .UInt32($"{arch}.vocab_size", model.Vocabulary);
        if (model.Window > 0) output.UInt32($"{arch}.attention.sliding_window", model.Window);
        if (model.Family == SyntheticFamily.Gemma2)
        {
            output.Float32($"{arch}.attn_logit_softcapping", SyntheticConfig.ScoreSoftcap)
                .Float32($"{arch}.final_logit_softcapping", SyntheticConfig.LogitSoftcap);
        }
        WriteRope(output, model, arch);
        tokenizer.Write(output);
    }

    private static void WriteRope(GgufWriter output, SyntheticModel model, string arch)
    {
        output.UInt32($"{arch}.rope.dimension_count", model.RotaryDimensions).Float32($"{arch}.rope.freq_base", model.Theta);
        switch (model.Scaling)
        {
            case SyntheticScaling.Linear:
                output.Text($"{arch}.rope.scaling.type", "linear").Float32($"{arch}.rope.scaling.factor", SyntheticConfig.Factor);
                break;
            case SyntheticScaling.Yarn:
                output.Text($"{arch}.rope.scaling.type", "yarn").Float32($"{arch}.rope.scaling.factor", SyntheticConfig.Factor)
                    .UInt32($"{arch}.rope.scaling.original_context_length", model.OriginalContext);
                break;
            case SyntheticScaling.LongRope:
                output.UInt32($"{arch}.rope.scaling.original_context_length", model.OriginalContext)
                    .Float32($"{arch}.rope.scaling.attn_factor", Math.Sqrt(1 + Math.Log((double)model.Context / model.OriginalContext) / Math.Log(model.OriginalContext)));
                break;
        }
    }

    /// <summary>The tensors of rotary factors: divisors of Llama 3's scaling, or longrope's lists.</summary>
    public static void WriteRopeTensors(GgufWriter output, SyntheticModel model)
    {
        var pairs = model.RotaryDimensions / 2;
        if (model.Scaling == SyntheticScaling.LongRope)
        {
            var (shortFactors, longFactors) = model.LongRopeFactors();
            output.Tensor("rope_factors_long.weight", [pairs], longFactors).Tensor("rope_factors_short.weight", [pairs], shortFactors);
        }
        if (model.Scaling == SyntheticScaling.Llama3)
            output.Tensor("rope_freqs.weight", [pairs], [.. Enumerable.Range(0, pairs).Select(i => (float)Llama3Divisor(i, model))]);
    }

    private static double Llama3Divisor(int pair, SyntheticModel model)
    {
        const double low = SyntheticConfig.LowFrequencyFactor, high = SyntheticConfig.HighFrequencyFactor, factor = SyntheticConfig.Llama3Factor;
        var turns = model.OriginalContext / (2 * Math.PI * Math.Pow(model.Theta, 2.0 * pair / model.RotaryDimensions));
        if (turns > high) return 1;
        if (turns < low) return factor;
        var smooth = (turns - low) / (high - low);
        return 1 / ((1 - smooth) / factor + smooth);
    }
}

using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.Model;
using Kvasir.Engine.Sampling;
using Kvasir.Kernels;

namespace Kvasir.Engine;

/// <summary>How much worse a model predicts with keys and values in few bits than in F16.</summary>
/// <remarks>
/// The change is that of the perplexity of text that the model itself would write: e to the mean Kullback-Leibler
/// divergence of the predictions, less one. It needs no text that resembles what the model was made for, and hardly varies
/// with the text, as the perplexity of a few hundred given tokens does.
/// </remarks>
/// <param name="Format">The keys and values in few bits.</param>
/// <param name="Tokens">Tokens predicted.</param>
/// <param name="Change">Relative change of the perplexity: 0.01 is one per cent more.</param>
public sealed record KvCanaryResult(KvFormats Format, int Tokens, double Change)
{
    /// <summary>What was found, as a sentence.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"Keys and values in {Format}: perplexity {100 * Change:+0.00;-0.00;0.00} % against f16, over {Tokens} tokens.");
}

/// <summary>Keys and values in few bits cost more than the bound allows.</summary>
public sealed class KvCanaryException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="result">What was found.</param>
    /// <param name="bound">What was allowed.</param>
    public KvCanaryException(KvCanaryResult result, double bound) : base(string.Create(CultureInfo.InvariantCulture,
        $"{result} That is more than the bound of {100 * bound:0.##} %: choose more bits (--kv-dtype q8_0, or for keys alone k=q8_0,v=q4_0), or allow it (--kv-canary off, or a larger bound).")) => Result = result;

    /// <summary>What was found.</summary>
    public KvCanaryResult Result { get; }
}

/// <summary>
/// Predicts a text twice before the engine starts, with keys and values in F16 and as they were chosen, in the memory
/// that is reserved for them anyway.
/// </summary>
internal sealed class KvCanary
{
    /// <summary>Fewer predictions would say nothing.</summary>
    private const int FewestTokens = 33;

    /// <summary>Predictions of the one that wait for the other's; short-lived, so within what the runtime is given.</summary>
    private const int WaitingBytes = 16 << 20;

    private readonly Step _step;
    private readonly BlockTable _table;
    private readonly Decoder _reference;
    private readonly Decoder _chosen;
    private readonly float[] _waiting;
    private readonly int _rows;

    private KvCanary(ModelSpec spec, Decoder decoder, NativeBuffer memory, KvFormats format, int tokens, int stepTokens)
    {
        var (reference, chosen) = (KvGroups.For(spec, KvFormat.F16, tokens), KvGroups.For(spec, format, tokens));
        var pool = new BlockPool(chosen.Blocks(tokens));
        _table = new BlockTable(pool, chosen);
        _table.TryGrow(tokens, computed: 0);
        var first = pool.Capacity * reference.BlockBytes;
        _reference = decoder.Over(new KvMemory(reference, pool.Capacity, memory.All).Layers);
        _chosen = decoder.Over(new KvMemory(chosen, pool.Capacity, memory.Slice(first, memory.Bytes - first)).Layers);
        _rows = Math.Clamp(WaitingBytes / sizeof(float) / spec.VocabularySize, 1, Math.Min(stepTokens, EngineMemoryPlan.LogitRows));
        _waiting = new float[_rows * spec.VocabularySize];
        _step = new Step(_rows, chosen.Count);
    }

    /// <summary>Whether the options ask for a trial.</summary>
    public static bool IsWanted(EngineOptions options) => options.KvFormat.LeastBits < 16 && options.KvCanaryBound is not null && !options.KvCanaryTokens.IsDefaultOrEmpty;

    /// <summary>What the options' keys and values cost; null where they are not to be tried, or too little of the text fits.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="options">How it shall run.</param>
    /// <param name="decoder">Its forward pass; what it remembers of a step is lost.</param>
    /// <param name="memory">The memory of the device's blocks, zeroed before and after.</param>
    /// <param name="plan">Sizes.</param>
    /// <exception cref="KvCanaryException">More than the options allow.</exception>
    public static KvCanaryResult? Try(ModelSpec spec, EngineOptions options, Decoder decoder, NativeBuffer memory, EngineMemoryPlan plan)
    {
        if (!IsWanted(options) || options.KvCanaryBound is not { } bound) return null;
        int[] tokens = [.. options.KvCanaryTokens.Where(token => (uint)token < (uint)spec.VocabularySize).Take(plan.ContextTokens)];
        var result = Run(spec, decoder, memory, options.KvFormat, tokens, plan.StepTokens);
        if (result is null)
        {
            options.Warn($"Keys and values in {options.KvFormat} were not tried: fewer than {FewestTokens} tokens of text fit into the KV cache twice.");
            return null;
        }
        // Not a number is more than anything.
        if (!(result.Change <= bound)) throw new KvCanaryException(result, bound);
        options.Warn(result.ToString());
        return result;
    }

    /// <summary>Runs the text; null where too little of it fits.</summary>
    /// <param name="spec">The model.</param>
    /// <param name="decoder">Its forward pass; what it remembers of a step is lost.</param>
    /// <param name="memory">The memory of the device's blocks, zeroed before and after.</param>
    /// <param name="format">The chosen keys and values.</param>
    /// <param name="tokens">The text.</param>
    /// <param name="stepTokens">Tokens of the largest step.</param>
    private static KvCanaryResult? Run(ModelSpec spec, Decoder decoder, NativeBuffer memory, KvFormats format, ReadOnlySpan<int> tokens, int stepTokens)
    {
        var groups = KvGroups.For(spec, format, 0);
        var blockBytes = groups.Count * (groups.BlockBytes + KvGroups.For(spec, KvFormat.F16, 0).BlockBytes);
        var count = (int)Math.Min(tokens.Length, memory.Bytes / blockBytes * BlockTable.BlockTokens);
        if (count < FewestTokens) return null;
        var canary = new KvCanary(spec, decoder, memory, format, count, stepTokens);
        var divergence = 0d;
        for (var first = 0; first < count; first += canary._rows) divergence += canary.Divergence(tokens[first..Math.Min(count, first + canary._rows)], first);
        memory.Clear(BlockTable.BlocksFor(count) * blockBytes);
        return new KvCanaryResult(format, count, Math.Exp(divergence / count) - 1);
    }

    /// <summary>Sum over some tokens of the divergence of the two predictions of what follows.</summary>
    private double Divergence(ReadOnlySpan<int> tokens, int position)
    {
        _step.Clear();
        _step.Add(tokens, position, _table, lastLogits: true, allLogits: true);
        _reference.Run(_step);
        var expected = _reference.Logits(0);
        for (var row = 0; row < expected.Rows; row++) expected.Row(row).CopyTo(_waiting.AsSpan(row * expected.Columns));
        _chosen.Run(_step);
        var actual = _chosen.Logits(0);
        var sum = 0d;
        for (var row = 0; row < actual.Rows; row++) sum += LogProbabilities.Divergence(_waiting.AsSpan(row * actual.Columns, actual.Columns), actual.Row(row));
        return sum;
    }
}

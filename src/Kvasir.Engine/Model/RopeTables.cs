using Kvasir.Checkpoints;
using Kvasir.Kernels;

namespace Kvasir.Engine.Model;

/// <summary>Cosines and sines of a step, one table for all layers that rotate alike.</summary>
internal sealed class RopeTables
{
    private readonly List<(RopeSpec Spec, RopeTable Table)> _tables = [];

    /// <param name="spec">The model.</param>
    /// <param name="contextTokens">The engine's context: beyond a model's threshold its long frequencies hold for every sequence.</param>
    /// <param name="maxTokens">Tokens of the largest step.</param>
    public RopeTables(ModelSpec spec, int contextTokens, int maxTokens)
    {
        foreach (var rope in spec.Layers.Select(layer => (layer.Mixer as AttentionSpec)?.Rope).OfType<RopeSpec>())
        {
            if (For(rope) is not null) continue;
            var isLong = !rope.LongFrequencies.IsDefaultOrEmpty && contextTokens > rope.LongContextThreshold;
            var frequencies = (isLong ? rope.LongFrequencies : rope.Frequencies).Select(frequency => (double)frequency).ToArray();
            _tables.Add((rope, new RopeTable(frequencies, rope.Magnitude, maxTokens)));
        }
    }

    /// <summary>Bytes of one table.</summary>
    public static long Bytes(ModelSpec spec, int maxTokens) => spec.Layers.Select(layer => (layer.Mixer as AttentionSpec)?.Rope)
        .OfType<RopeSpec>().Distinct(Alike.Instance).Sum(rope => 2L * sizeof(float) * maxTokens * rope.Frequencies.Length);

    /// <summary>The table of layers that rotate by <paramref name="rope"/>.</summary>
    public RopeTable? For(RopeSpec? rope) => rope is null ? null : _tables.FirstOrDefault(entry => Alike.Instance.Equals(entry.Spec, rope)).Table;

    public void Fill(Worker worker, ReadOnlySpan<int> positions)
    {
        foreach (var (_, table) in _tables) table.Fill(worker, positions);
    }

    /// <summary>Records compare arrays by identity; frequencies count by value.</summary>
    private sealed class Alike : IEqualityComparer<RopeSpec>
    {
        public static readonly Alike Instance = new();

        public bool Equals(RopeSpec? a, RopeSpec? b) => ReferenceEquals(a, b) || (a is not null && b is not null
            && a.Magnitude == b.Magnitude && a.LongContextThreshold == b.LongContextThreshold && a.Frequencies.AsSpan().SequenceEqual(b.Frequencies.AsSpan())
            && (a.LongFrequencies.IsDefault ? b.LongFrequencies.IsDefault : !b.LongFrequencies.IsDefault && a.LongFrequencies.AsSpan().SequenceEqual(b.LongFrequencies.AsSpan())));

        public int GetHashCode(RopeSpec rope) => HashCode.Combine(rope.Magnitude, rope.Dimensions, rope.Frequencies.Length);
    }
}

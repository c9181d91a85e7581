using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.KvCache;

internal sealed class TestSequence(BlockTable table, List<int> tokens, int cached)
{
    public BlockTable Table { get; } = table;
    public List<int> Tokens { get; } = tokens;
    public int Cached { get; } = cached;
    public int Computed { get; set; } = cached;
}

/// <summary>A prefix cache over slots that hold a digest of all tokens up to their own, in the place of keys and values.</summary>
internal sealed class TestCache
{
    private readonly ulong[] _slots;

    public TestCache(int blocks, EvictionKind kind = EvictionKind.Lru)
    {
        Pool = new BlockPool(blocks, EvictionPolicies.Create(kind, blocks));
        _slots = new ulong[blocks * 16];
        Cache = new PrefixCache(Pool, (from, to) =>
        {
            Copies++;
            _slots.AsSpan(from * 16, 16).CopyTo(_slots.AsSpan(to * 16));
        });
    }

    public BlockPool Pool { get; }
    public PrefixCache Cache { get; }
    public int Copies { get; private set; }

    public Placement TryPlace(int[] tokens, out TestSequence? sequence, UInt128 root = default)
    {
        var table = new BlockTable(Pool, root);
        var placement = Cache.Place(table, tokens, 1, true, out var cached);
        sequence = placement == Placement.Placed ? new TestSequence(table, [.. tokens], cached) : null;
        if (sequence is not null) Check(sequence);
        else Assert.Equal(0, table.Count);
        return placement;
    }

    public TestSequence Place(int[] tokens)
    {
        Assert.Equal(Placement.Placed, TryPlace(tokens, out var sequence));
        return sequence!;
    }

    public void Compute(TestSequence sequence, int to)
    {
        var digest = Digest(sequence, sequence.Computed);
        for (var i = sequence.Computed; i < to; i++)
        {
            digest = Next(digest, sequence.Tokens[i]);
            _slots[sequence.Table.Slot(i)] = digest;
        }
        sequence.Computed = to;
        Cache.List(sequence.Table, Computed(sequence));
        Check(sequence);
    }

    /// <summary>Appends tokens one by one, as far as there is room.</summary>
    public void Generate(TestSequence sequence, int[] tokens)
    {
        foreach (var token in tokens)
        {
            if (!sequence.Table.TryGrow(sequence.Tokens.Count + 1)) return;
            sequence.Tokens.Add(token);
            Compute(sequence, sequence.Tokens.Count);
        }
    }

    public void Release(TestSequence sequence)
    {
        Check(sequence);
        Cache.Release(sequence.Table, Computed(sequence));
    }

    public void Run(int[] tokens)
    {
        var sequence = Place(tokens);
        Compute(sequence, tokens.Length);
        Release(sequence);
    }

    private void Check(TestSequence sequence)
    {
        var digest = Digest(sequence, 0);
        for (var i = 0; i < sequence.Computed; i++)
        {
            digest = Next(digest, sequence.Tokens[i]);
            Assert.Equal(digest, _slots[sequence.Table.Slot(i)]);
        }
    }

    private static int[] Computed(TestSequence sequence) => [.. sequence.Tokens.Take(sequence.Computed)];

    private static ulong Digest(TestSequence sequence, int count)
    {
        var digest = (ulong)sequence.Table.Root + 1;
        foreach (var token in sequence.Tokens.Take(count)) digest = Next(digest, token);
        return digest;
    }

    private static ulong Next(ulong digest, int token) => (digest ^ (ulong)(token + 1)) * 0x9E3779B97F4A7C15 + (digest >> 29);
}

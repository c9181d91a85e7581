using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Kernels;

namespace Kvasir.Engine.Tests.KvCache;

internal sealed class TestSequence(BlockTable table, List<int> tokens, int cached)
{
    public BlockTable Table { get; } = table;
    public List<int> Tokens { get; } = tokens;
    public int Cached { get; } = cached;
    public int Computed { get; set; } = cached;
}

/// <summary>A prefix cache over slots that hold a digest of all tokens up to their own, in the place of keys and values.</summary>
internal sealed class TestCache : IDisposable
{
    private static readonly KvLayout Layout = new(1, 2, 16, KvFormat.F16);
    private static readonly KvGroups Groups = KvGroups.One(Layout);

    private readonly NativeBuffer _memory;
    private readonly NativeBuffer _below;
    private readonly KvMemory _blocks;
    private readonly byte[] _block;

    /// <param name="blocks">Blocks of the device.</param>
    /// <param name="kind">Eviction policy.</param>
    /// <param name="host">Blocks of the host tier.</param>
    /// <param name="pages">Files of the disk tier, which this owns.</param>
    /// <param name="diskBlocks">Blocks of the disk tier.</param>
    /// <param name="events">Told of blocks that come and go.</param>
    /// <param name="tenantShare">Share of each tier that one tenant's blocks may have.</param>
    /// <param name="writes">Which blocks go to disk.</param>
    public TestCache(int blocks, EvictionKind kind = EvictionKind.Lru, int host = 0, DiskPages? pages = null, int diskBlocks = 0, KvEventLog? events = null, double tenantShare = 1, KvWriteFilter writes = KvWriteFilter.All)
    {
        var retention = new RetentionEviction(EvictionPolicies.Create(kind, blocks), blocks, TimeProvider.System);
        var tenants = new TenantEviction(retention, blocks, tenantShare);
        Pool = new BlockPool(blocks, tenants);
        _memory = new NativeBuffer(blocks * BlockBytes);
        _below = new NativeBuffer((host + DiskTier.Buffers) * BlockBytes);
        _blocks = new KvMemory(Groups, blocks, _memory.All);
        _block = new byte[BlockBytes];
        var hostTier = host == 0 ? null : new HostTier(_blocks, _below.Slice(0, host * BlockBytes), tenantShare: tenantShare);
        var diskTier = pages is null ? null : new DiskTier(_blocks, pages, diskBlocks, _below.Slice(host * BlockBytes, DiskTier.Buffers * BlockBytes), Warnings.Add, () => { }, tenantShare: tenantShare);
        Tiers = hostTier is null && diskTier is null ? null : new KvTiers(hostTier, diskTier, (int)BlockBytes, events);
        Cache = new PrefixCache(Pool, Groups, (from, to) =>
        {
            Copies++;
            _blocks.Copy(from, to);
        }, Tiers, events, retention: retention, tenants: tenants, writes: writes);
    }

    public static long BlockBytes => Layout.BlockBytes;

    public KvTiers? Tiers { get; }
    public List<string> Warnings { get; } = [];
    public int Loads { get; private set; }

    public void SaveAll() => Assert.True(SpinWait.SpinUntil(() => !Cache.Save(), TimeSpan.FromSeconds(30)));

    public void Dispose()
    {
        Tiers?.Dispose();
        _below.Dispose();
        _memory.Dispose();
    }

    public BlockPool Pool { get; }
    public PrefixCache Cache { get; }
    public int Copies { get; private set; }

    public Placement TryPlace(int[] tokens, out TestSequence? sequence, UInt128 root = default, ulong owner = 0, KvRetention? retention = null)
    {
        var table = new BlockTable(Pool, Groups, root) { Owner = owner, Retention = retention };
        var placement = Cache.Place(table, tokens, 1, true, out var cached);
        while (placement == Placement.Placed && table.Loaded < table.Loadable)
        {
            var outcome = Cache.Load(table, tokens);
            if (outcome == LoadOutcome.Gone) break;
            if (outcome == LoadOutcome.Pending) continue;
            Loads++;
            cached = table.Listed * 16;
        }
        sequence = placement == Placement.Placed ? new TestSequence(table, [.. tokens], cached) : null;
        if (sequence is not null) Check(sequence);
        else Assert.Equal(0, table.Held);
        return placement;
    }

    public TestSequence Place(int[] tokens, UInt128 root = default, ulong owner = 0, KvRetention? retention = null)
    {
        Assert.Equal(Placement.Placed, TryPlace(tokens, out var sequence, root, owner, retention));
        return sequence!;
    }

    public void Compute(TestSequence sequence, int to)
    {
        var digest = Digest(sequence, sequence.Computed);
        for (var i = sequence.Computed; i < to; i++)
        {
            digest = Next(digest, sequence.Tokens[i]);
            this[sequence.Table.Slot(0, i)] = digest;
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
            if (!sequence.Table.TryGrow(sequence.Tokens.Count + 1, sequence.Computed)) return;
            sequence.Tokens.Add(token);
            Compute(sequence, sequence.Tokens.Count);
        }
    }

    public void Release(TestSequence sequence)
    {
        Check(sequence);
        Cache.Release(sequence.Table, Computed(sequence));
    }

    public void Run(int[] tokens, UInt128 root = default, ulong owner = 0, KvRetention? retention = null)
    {
        var sequence = Place(tokens, root, owner, retention);
        Compute(sequence, tokens.Length);
        Release(sequence);
    }

    private ulong this[int slot]
    {
        get
        {
            _blocks.Save(slot / 16, _block);
            return BitConverter.ToUInt64(_block, slot % 16 * 8);
        }
        set
        {
            _blocks.Save(slot / 16, _block);
            BitConverter.TryWriteBytes(_block.AsSpan(slot % 16 * 8), value);
            _blocks.Load(slot / 16, _block);
        }
    }

    private void Check(TestSequence sequence)
    {
        var digest = Digest(sequence, 0);
        for (var i = 0; i < sequence.Computed; i++)
        {
            digest = Next(digest, sequence.Tokens[i]);
            Assert.Equal(digest, this[sequence.Table.Slot(0, i)]);
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

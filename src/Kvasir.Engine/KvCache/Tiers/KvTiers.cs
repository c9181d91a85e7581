using System.Diagnostics;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.KvCache.Tiers;

/// <summary>What a tier below the device did since the start.</summary>
/// <param name="Name">"host", "disk" or "remote".</param>
/// <param name="Blocks">Blocks it can hold; 0 where that is not known.</param>
/// <param name="UsedBlocks">Blocks it holds; 0 where that is not known.</param>
/// <param name="Stored">Blocks taken in.</param>
/// <param name="Loaded">Blocks given back to the device.</param>
/// <param name="Evicted">Blocks that gave way to others.</param>
/// <param name="Damaged">Blocks that were not what was written.</param>
/// <param name="LoadBytesPerSecond">Measured speed of giving back; 0 before the first.</param>
/// <param name="IsOff">Whether the tier has ended because its medium refused.</param>
public sealed record KvTierState(string Name, int Blocks, int UsedBlocks, long Stored, long Loaded, long Evicted, long Damaged, double LoadBytesPerSecond, bool IsOff);

/// <summary>What became of loading a block.</summary>
internal enum LoadOutcome
{
    /// <summary>It is on the device.</summary>
    Loaded,
    /// <summary>It is being read: ask again.</summary>
    Pending,
    /// <summary>No tier has it whole.</summary>
    Gone,
}

/// <summary>
/// Host memory, disk and a server below the device's blocks. Blocks that give way on the device go to host memory; blocks that
/// a request leaves go to disk and server, beside computation. A block comes back when that is quicker than computing it. For one
/// thread: the engine's; <see cref="States"/> alone is for any.
/// </summary>
internal sealed class KvTiers : IDisposable
{
    private const double Smoothing = 0.1;

    /// <summary>Of the blocks not worth loading, one in so many is loaded all the same, for speeds change.</summary>
    private const int ProbeEvery = 256;

    private readonly HostTier? _host;
    private readonly DiskTier? _disk;
    private readonly RemoteTier? _remote;
    private readonly int _blockBytes;
    private readonly Counts _hostCounts = new(), _diskCounts = new();
    private readonly KvEventLog? _events;
    private KvTierState[] _states = [];
    private int _unworthy;

    public KvTiers(HostTier? host, DiskTier? disk, int blockBytes, KvEventLog? events = null, RemoteTier? remote = null)
    {
        (_host, _disk, _remote, _blockBytes, _events) = (host, disk, remote, blockBytes, events);
        if (events is not null) Tell(events);
        Publish();
    }

    /// <summary>Seconds that computing a prompt's token takes at present; 0 while unknown.</summary>
    public double ComputeSecondsPerToken { get; set; }

    /// <summary>Whether released blocks are wanted.</summary>
    public bool TakesReleased => _disk is { IsOff: false } || _remote is { IsPaused: false };

    /// <summary>Whether a released block can be taken now.</summary>
    public bool HasRoomForReleased => TakesReleased && _disk is not { IsOff: false, HasBuffer: false } && _remote is not { IsPaused: false, HasBuffer: false };

    /// <summary>Whether blocks are on their way to disk or server.</summary>
    public bool IsWriting => _disk is { IsWriting: true } || _remote is { IsSending: true };

    /// <summary>Whether blocks may be fetched from a server.</summary>
    public bool HasRemote => _remote is not null;

    /// <summary>The tiers as they were after the last step.</summary>
    public IReadOnlyList<KvTierState> States => Volatile.Read(ref _states);

    /// <summary>A block on the device is about to be overwritten.</summary>
    public void StoreEvicted(int block, UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens, in BlockClaim claim)
    {
        if (_host?.Store(block, name, parent, tokens, claim) != true) return;
        _hostCounts.Stored++;
        // Whoever hears of it knows it from the device, where it is still.
        _events?.Stored(name, parent, [], KvTier.Host);
    }

    /// <summary>A block is to be kept on disk and server. Needs <see cref="HasRoomForReleased"/>.</summary>
    public void StoreReleased(int block, UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens, in BlockClaim claim)
    {
        var label = new PageLabel(name, parent, tokens.ToArray(), claim);
        if (_disk is { HasBuffer: true } && _disk.Store(block, label)) _diskCounts.Stored++;
        _remote?.Store(block, label);
    }

    /// <summary>Whether a block is here and worth loading.</summary>
    public bool Has(UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens) =>
        (_host?.Slots.Find(name, parent, tokens) >= 0 && IsWorth(_hostCounts)) || (_disk?.Slots.Find(name, parent, tokens) >= 0 && IsWorth(_diskCounts));

    /// <summary>Makes a block that is here the last to give way.</summary>
    public void Touch(UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens)
    {
        Touch(_host?.Slots, name, parent, tokens);
        Touch(_disk?.Slots, name, parent, tokens);
    }

    /// <summary>Begins to fetch blocks from a server into host memory; null when nothing is worth waiting for.</summary>
    /// <param name="wanted">Blocks that follow one another and are in no tier here.</param>
    public RemoteFetch? Fetch(IReadOnlyList<PageLabel> wanted) => _remote?.Begin(wanted, ComputeSecondsPerToken * BlockTable.BlockTokens);

    /// <summary>Most blocks to fetch for one request: they must stay in host memory until it takes them.</summary>
    public int MostFetched => (_host?.Slots.Capacity ?? 0) / 2;

    /// <summary>What the texts begin with that an earlier process left.</summary>
    public IReadOnlySet<UInt128> RestoredRoots => _disk?.RestoredRoots ?? new HashSet<UInt128>();

    /// <summary>Where the block was that was loaded last; what a server sent came through host memory.</summary>
    public KvTier LoadedFrom { get; private set; }

    /// <summary>Begins to read a block where that takes time.</summary>
    /// <param name="label">The block.</param>
    /// <param name="block">Where to; nobody else looks at it until it is loaded or abandoned.</param>
    /// <param name="reader">Whose it is.</param>
    public void Begin(in BlockLabel label, int block, object reader)
    {
        if (_host?.Slots.Find(label.Name, label.Parent, label.Tokens) >= 0) return;
        if (_disk?.Slots.Find(label.Name, label.Parent, label.Tokens) is { } page and >= 0) _disk.Begin(page, block, reader);
    }

    /// <summary>A block that may be being read gets its contents otherwise.</summary>
    public void Abandon(int block) => _disk?.Abandon(block);

    /// <summary>Whoever's blocks were being read gives them up.</summary>
    public void Abandon(object reader) => _disk?.Abandon(reader);

    /// <summary>Loads a block onto the device.</summary>
    /// <param name="label">The block.</param>
    /// <param name="block">Where to.</param>
    /// <param name="reader">Who asks.</param>
    public LoadOutcome TryLoad(in BlockLabel label, int block, object reader)
    {
        var started = Stopwatch.GetTimestamp();
        if (_host?.Slots.Find(label.Name, label.Parent, label.Tokens) is { } slot and >= 0)
        {
            _disk?.Abandon(block);
            LoadedFrom = _host.IsRemote(slot) ? KvTier.Remote : KvTier.Host;
            _host.Load(slot, block);
            _hostCounts.Book(Stopwatch.GetElapsedTime(started));
            return LoadOutcome.Loaded;
        }
        if (_disk?.Slots.Find(label.Name, label.Parent, label.Tokens) is not ({ } page and >= 0)) return LoadOutcome.Gone;
        var outcome = _disk.Load(page, block, reader, out var took);
        if (outcome != LoadOutcome.Loaded) return outcome;
        _diskCounts.Book(took);
        LoadedFrom = KvTier.Disk;
        return outcome;
    }

    /// <summary>Between steps: books what was written, and the states for others to see.</summary>
    public void Collect()
    {
        _disk?.Collect();
        _remote?.Collect();
        Publish();
    }

    /// <summary>Adds what is here to a list.</summary>
    public void AddEntries(List<KvEntry> entries)
    {
        _host?.Slots.AddEntries(KvTier.Host, entries);
        _disk?.Slots.AddEntries(KvTier.Disk, entries);
    }

    /// <summary>Waits until what is on its way to the disk is there.</summary>
    public void Settle() => _disk?.Settle();

    /// <summary>Deletes blocks, or everything when there are no names. A server that others share too forgets nothing but all.</summary>
    /// <returns>Blocks deleted in host memory and on disk.</returns>
    public (int Host, int Disk) Delete(IReadOnlySet<UInt128>? names)
    {
        var deleted = (_host?.Slots.Delete(names, _host.Slots.Drop) ?? 0, _disk?.Delete(names) ?? 0);
        if (names is null) _remote?.Clear();
        Publish();
        return deleted;
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        _host?.Slots.Clear();
        _disk?.Clear();
        _remote?.Clear();
    }

    public void Dispose()
    {
        _remote?.Dispose();
        _disk?.Dispose();
    }

    private void Tell(KvEventLog events)
    {
        if (_host is not null) _host.Slots.Left = name => events.Removed(name, KvTier.Host);
        if (_remote is not null) _remote.Came = label => events.Stored(label.Name, label.Parent, label.Tokens, KvTier.Host);
        if (_disk is null) return;
        foreach (var label in _disk.Slots.Labels()) events.Stored(label.Name, label.Parent, label.Tokens, KvTier.Disk);
        _disk.Written = label => events.Stored(label.Name, label.Parent, label.Tokens, KvTier.Disk);
        _disk.Slots.Left = name => events.Removed(name, KvTier.Disk);
    }

    private static void Touch(TierSlots? slots, UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens)
    {
        if (slots?.Find(name, parent, tokens) is { } slot and >= 0) slots.Touch(slot);
    }

    /// <summary>One decision in seconds: a block is loaded when that takes no longer than computing its tokens.</summary>
    private bool IsWorth(Counts counts)
    {
        var compute = ComputeSecondsPerToken * BlockTable.BlockTokens;
        return compute == 0 || counts.SecondsPerLoad <= compute || ++_unworthy % ProbeEvery == 0;
    }

    private void Publish()
    {
        var states = new List<KvTierState>(3);
        if (_host is not null) states.Add(State("host", _host.Slots, _hostCounts, 0, false));
        if (_disk is not null) states.Add(State("disk", _disk.Slots, _diskCounts, _disk.Damaged, _disk.IsOff));
        if (_remote is not null) states.Add(_remote.State(_blockBytes));
        Volatile.Write(ref _states, [.. states]);
    }

    private KvTierState State(string name, TierSlots slots, Counts counts, long damaged, bool isOff) =>
        new(name, slots.Capacity, slots.Used, counts.Stored, counts.Loaded, slots.Evictions, damaged, counts.SecondsPerLoad == 0 ? 0 : _blockBytes / counts.SecondsPerLoad, isOff);

    private sealed class Counts
    {
        public long Stored { get; set; }
        public long Loaded { get; private set; }
        public double SecondsPerLoad { get; private set; }

        public void Book(TimeSpan took)
        {
            Loaded++;
            SecondsPerLoad = SecondsPerLoad == 0 ? took.TotalSeconds : SecondsPerLoad + (Smoothing * (took.TotalSeconds - SecondsPerLoad));
        }
    }
}

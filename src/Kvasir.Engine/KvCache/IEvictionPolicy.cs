namespace Kvasir.Engine.KvCache;

/// <summary>
/// The order in which blocks that nobody holds give up their contents. All operations are O(1). For one thread: the
/// engine's.
/// </summary>
public interface IEvictionPolicy
{
    /// <summary>Blocks that could be evicted.</summary>
    int Count { get; }

    /// <summary>A block's last holder left it; its contents stay until they are evicted.</summary>
    /// <param name="block">Number of the block.</param>
    /// <param name="name">Name of its contents, by which a policy may recognize them when they return.</param>
    void Add(int block, UInt128 name);

    /// <summary>A block's contents were asked for again: it is held from now on, if it was not already.</summary>
    void Reuse(int block);

    /// <summary>A block's contents are no longer wanted, and the block is none of the policy's any more.</summary>
    void Drop(int block);

    /// <summary>Chooses the block to give up; −1 when there is none.</summary>
    int Evict();
}

/// <summary>The eviction policies, by the names that options use.</summary>
public enum EvictionKind
{
    /// <summary>Least recently used first.</summary>
    Lru,
    /// <summary>Segmented LRU: blocks that were never asked for again go before those that were.</summary>
    SegmentedLru,
    /// <summary>ARC: adapts between recency and frequency by what it regrets having evicted.</summary>
    Arc,
}

/// <summary>Makes policies.</summary>
public static class EvictionPolicies
{
    /// <summary>Bytes that a policy's books take per block at most.</summary>
    public static int BytesPerBlock(EvictionKind kind) => kind switch
    {
        EvictionKind.Lru => Links,
        EvictionKind.SegmentedLru => Links + 1,
        // A name of its own, and two lists of names that were evicted: links, a name and a dictionary's entry each.
        EvictionKind.Arc => Links + 1 + 16 + (2 * (Links + 16 + 62)),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "No such eviction policy."),
    };

    private const int Links = 16;

    /// <summary>A new policy for a pool of <paramref name="blocks"/> blocks.</summary>
    public static IEvictionPolicy Create(EvictionKind kind, int blocks) => kind switch
    {
        EvictionKind.Lru => new LruEviction(blocks),
        EvictionKind.SegmentedLru => new SegmentedLruEviction(blocks),
        EvictionKind.Arc => new ArcEviction(blocks),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "No such eviction policy."),
    };
}

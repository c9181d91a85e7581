namespace Kvasir.Engine.KvCache;

/// <summary>What is known of the device's listed blocks beside their contents: whose they are, since when, when last held, how many pins hold them. For one thread: the engine's.</summary>
internal sealed class BlockRecords
{
    /// <summary>Bytes per block.</summary>
    public const int BytesPerBlock = 16 + 8 + 8 + 2 + 1;

    /// <summary>Tenants remembered; beyond, the set starts anew.</summary>
    private const int MostRoots = 4096;

    private readonly UInt128[] _root;
    private readonly long[] _listed;
    private readonly long[] _used;
    private readonly ushort[] _pins;
    private readonly byte[] _uses;
    private readonly HashSet<UInt128> _roots = [];
    private readonly TimeProvider _time;

    public BlockRecords(int blocks, TimeProvider time) =>
        (_root, _listed, _used, _pins, _uses, _time) = (new UInt128[blocks], new long[blocks], new long[blocks], new ushort[blocks], new byte[blocks], time);

    /// <summary>What the blocks of every tenant that was heard of begin with.</summary>
    public IReadOnlySet<UInt128> Roots => _roots;

    /// <summary>A block was listed for a tenant.</summary>
    public void List(int block, UInt128 root)
    {
        _root[block] = root;
        _uses[block] = 0;
        _listed[block] = _used[block] = _time.GetTimestamp();
        Hear(root);
    }

    /// <summary>A tenant was heard of.</summary>
    public void Hear(UInt128 root)
    {
        if (_roots.Count >= MostRoots && !_roots.Contains(root)) _roots.Clear();
        _roots.Add(root);
    }

    /// <summary>A request leaves a block.</summary>
    public void Use(int block)
    {
        _used[block] = _time.GetTimestamp();
        if (_uses[block] < byte.MaxValue) _uses[block]++;
    }

    /// <summary>Requests, and pins, that have left a block since it was listed, as far as 255.</summary>
    public int Uses(int block) => _uses[block];

    /// <summary>Whether a tenant was heard of.</summary>
    public bool Knows(UInt128 root) => _roots.Contains(root);

    public UInt128 RootOf(int block) => _root[block];

    /// <summary>Since a block was listed.</summary>
    public TimeSpan Age(int block) => _time.GetElapsedTime(_listed[block]);

    /// <summary>Since a request left it.</summary>
    public TimeSpan Idle(int block) => _time.GetElapsedTime(_used[block]);

    /// <summary>Pins that hold a block.</summary>
    public ref ushort Pins(int block) => ref _pins[block];

    /// <summary>Blocks that pins hold.</summary>
    public int Pinned { get; set; }
}

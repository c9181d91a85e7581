using System.Collections.Immutable;
using Kvasir.Engine.Inspection;
using Kvasir.Protocol;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.KvCache;

/// <summary>
/// Collects which full blocks entered and left each tier, and hands them out once per step, in the order in which they
/// happened: whoever routes requests here learns what is here. For one thread: the engine's.
/// </summary>
/// <param name="publish">Takes the changes of a step.</param>
/// <param name="time">The clock.</param>
/// <param name="blockTokens">Tokens per block.</param>
internal sealed class KvEventLog(Action<KvEventBatch> publish, TimeProvider time, int blockTokens = BlockTable.BlockTokens)
{
    // A tier that outlived a restart tells of all it holds at once: in parts that receivers take.
    private const int MostBlocksPerEvent = 4096, MostEventsPerBatch = 1024;

    // What a block without salt follows when it is the first.
    private static readonly UInt128 Root = TenantName.Root(null);

    private readonly ImmutableArray<KvEvent>.Builder _events = ImmutableArray.CreateBuilder<KvEvent>();
    private readonly ImmutableArray<BlockKey>.Builder _keys = ImmutableArray.CreateBuilder<BlockKey>();
    private readonly ImmutableArray<int>.Builder _tokens = ImmutableArray.CreateBuilder<int>();
    private UInt128 _last, _parent, _root = Root;
    private KvTier _tier;
    private int _group;
    private bool _stores;

    /// <summary>Whether there is nothing to hand out.</summary>
    public bool IsEmpty => _keys.Count == 0 && _events.Count == 0;

    /// <summary>A block can be read in a tier from now on.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="parent">The name of what it follows.</param>
    /// <param name="tokens">Its tokens; none where the block is known from a faster tier.</param>
    /// <param name="tier">Where it is.</param>
    /// <param name="root">The parent, where this is the first block of a text under a salt.</param>
    public void Stored(UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens, KvTier tier, UInt128? root = null)
    {
        // One event holds blocks that follow one another.
        if (!_stores || _tier != tier || parent != _last || _keys.Count == MostBlocksPerEvent || (tokens.IsEmpty != (_tokens.Count == 0)))
        {
            Close();
            (_stores, _tier, _group, _parent, _root) = (true, tier, KvGroups.Group(name), KvGroups.Block(parent), root ?? Root);
        }
        _keys.Add(Key(name));
        _tokens.AddRange(tokens);
        _last = name;
    }

    /// <summary>A block is no longer in a tier.</summary>
    public void Removed(UInt128 name, KvTier tier)
    {
        if (_stores || _tier != tier || _group != KvGroups.Group(name))
        {
            Close();
            (_stores, _tier, _group) = (false, tier, KvGroups.Group(name));
        }
        _keys.Add(Key(name));
    }

    /// <summary>Between steps: hands out what was collected.</summary>
    public void Publish()
    {
        Close();
        if (_events.Count == 0) return;
        var now = time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;
        var events = _events.DrainToImmutable();
        for (var from = 0; from < events.Length; from += MostEventsPerBatch)
            publish(new KvEventBatch(now, events.Slice(from, Math.Min(MostEventsPerBatch, events.Length - from))));
    }

    private void Close()
    {
        if (_keys.Count == 0) return;
        // The builders keep their room: the next event is about as large.
        var (keys, tokens) = (_keys.ToImmutable(), _tokens.ToImmutable());
        _keys.Clear();
        _tokens.Clear();
        _events.Add(!_stores ? new BlocksRemoved { Blocks = keys, Tier = _tier, Group = _group } : new BlocksStored
        {
            Blocks = keys,
            Parent = _parent == _root ? null : Key(_parent),
            Tokens = tokens,
            BlockSize = blockTokens,
            Tier = _tier,
            Group = _group,
            ExtraKeys = _root == Root ? [] : [Key(_root).ToString(), .. Enumerable.Repeat<string?>(null, keys.Length - 1)],
        });
    }

    private static BlockKey Key(UInt128 name) => new((ulong)(KvGroups.Block(name) >> 64), (ulong)KvGroups.Block(name));
}

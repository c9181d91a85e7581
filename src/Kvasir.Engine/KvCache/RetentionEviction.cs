namespace Kvasir.Engine.KvCache;

/// <summary>
/// Puts hints before a policy: blocks of lower priority than normal go first, those of higher priority last, the lowest
/// before the higher and the oldest before the newer; all others in the policy's order. Whatever is idle can be evicted.
/// O(1), but for one pass over the hinted blocks in a second in which hints end.
/// </summary>
public sealed class RetentionEviction : IEvictionPolicy
{
    /// <summary>Bytes per block: links, a name, a priority and its end.</summary>
    public const int BytesPerBlock = 16 + 16 + 1 + 4;

    // A block that no request has left yet has no priority, so that its first request decides; one that was normal stays so.
    private const byte Fresh = byte.MaxValue;

    private readonly IEvictionPolicy _policy;
    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly BlockLinks _links;
    private readonly BlockList[] _levels = new BlockList[KvRetention.HighestPriority + 1];
    private readonly UInt128[] _names;
    private readonly byte[] _priority;
    private readonly int[] _ends;
    private UInt128 _occupied;
    private int _kept, _nextEnd = int.MaxValue;

    /// <param name="policy">The order of all that is normal.</param>
    /// <param name="blocks">Blocks of the pool.</param>
    /// <param name="time">The clock.</param>
    public RetentionEviction(IEvictionPolicy policy, int blocks, TimeProvider time)
    {
        (_policy, _time, _started, _links) = (policy, time, time.GetTimestamp(), new BlockLinks(blocks));
        (_names, _priority, _ends) = (new UInt128[blocks], new byte[blocks], new int[blocks]);
        _priority.AsSpan().Fill(Fresh);
        for (var i = 0; i < _levels.Length; i++) _levels[i] = new BlockList();
    }

    /// <inheritdoc/>
    public int Count => _policy.Count + _kept;

    /// <summary>A request leaves a held block with a hint, or without. The highest priority that has not ended counts.</summary>
    public void Retain(int block, KvRetention? hint)
    {
        var priority = (byte)(hint?.Priority ?? KvRetention.NormalPriority);
        if (_priority[block] != Fresh && priority < PriorityOf(block)) return;
        (_priority[block], _ends[block]) = (priority, priority == KvRetention.NormalPriority ? int.MaxValue : (int)Math.Min(int.MaxValue - 1, Now + 1 + hint!.Value.Time.TotalSeconds));
    }

    /// <summary>How long a block is wanted still; null without a hint, or when it has ended.</summary>
    public KvRetention? HintOf(int block) => PriorityOf(block) is var priority && priority == KvRetention.NormalPriority ? null : new KvRetention(priority, TimeSpan.FromSeconds(_ends[block] - Now));

    /// <summary>What a block contains is forgotten, and with it what was wanted of it. A block that is evicted or dropped is told so by this, after who moves it elsewhere has asked <see cref="HintOf"/>.</summary>
    public void Forget(int block) => _priority[block] = Fresh;

    /// <inheritdoc/>
    public void Add(int block, UInt128 name)
    {
        var priority = PriorityOf(block);
        if (priority == KvRetention.NormalPriority)
        {
            _policy.Add(block, name);
            return;
        }
        _names[block] = name;
        _links.Append(_levels[priority], block);
        _occupied |= UInt128.One << priority;
        _nextEnd = Math.Min(_nextEnd, _ends[block]);
        _kept++;
    }

    /// <inheritdoc/>
    public void Reuse(int block)
    {
        if (_links.ListOf(block) is not null) Take(block);
        _policy.Reuse(block);
    }

    /// <inheritdoc/>
    public void Drop(int block)
    {
        if (_links.ListOf(block) is not null)
        {
            Take(block);
            _policy.Add(block, 0);
        }
        _policy.Drop(block);
    }

    /// <inheritdoc/>
    public int Evict()
    {
        if (_kept > 0 && Now >= _nextEnd) EndHints();
        var lowest = _kept == 0 ? int.MaxValue : (int)UInt128.TrailingZeroCount(_occupied);
        var block = lowest < KvRetention.NormalPriority || _policy.Count == 0 ? -1 : _policy.Evict();
        if (block < 0 && _kept > 0)
        {
            block = _levels[lowest].First;
            Drop(block);
        }
        return block;
    }

    private int Now => (int)_time.GetElapsedTime(_started).TotalSeconds;

    private int PriorityOf(int block) => _priority[block] == Fresh || Now >= _ends[block] ? KvRetention.NormalPriority : _priority[block];

    private void Take(int block)
    {
        var list = _links.ListOf(block)!;
        _links.Remove(block);
        _kept--;
        // The level it was put in, whatever its priority is by now.
        if (list.Count == 0) _occupied &= ~(UInt128.One << Array.IndexOf(_levels, list));
    }

    private void EndHints()
    {
        _nextEnd = int.MaxValue;
        for (var level = 0; level < _levels.Length; level++)
        {
            for (var block = _levels[level].First; block >= 0;)
            {
                var next = _links.After(block);
                if (Now >= _ends[block])
                {
                    Take(block);
                    _policy.Add(block, _names[block]);
                }
                else
                {
                    _nextEnd = Math.Min(_nextEnd, _ends[block]);
                }
                block = next;
            }
        }
    }
}

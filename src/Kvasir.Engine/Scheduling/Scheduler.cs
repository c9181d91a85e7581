using System.Runtime.InteropServices;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.Scheduling;

/// <summary>
/// Decides once per step what runs: every sequence that decodes, then chunks of prompts in the order of admission. Owned by
/// the engine's thread.
/// </summary>
internal sealed class Scheduler
{
    /// <summary>Blocks that a step may load from tiers while others wait for it: some tens of milliseconds.</summary>
    private const int LoadedBlocks = 128;

    /// <summary>Tokens of a step that tells the speed of prompts: with fewer, reading the weights takes the time.</summary>
    private const int FewestTimedTokens = 64;

    private readonly List<Sequence> _running = [];
    private readonly List<Sequence> _scheduled = [];
    private readonly WaitingQueue _waiting = new();
    private readonly OutputForecast _forecast = new();
    private readonly int _tenantBlocks;
    private Sequence? _owedRoom;
    private readonly PrefixCache _cache;
    private readonly int _maxSequences;
    private readonly int _chunkTokens;
    private readonly int _mixedChunkTokens;
    private readonly bool _reuses;

    /// <param name="cache">The KV blocks.</param>
    /// <param name="blocks">How many there are.</param>
    /// <param name="options">How many sequences and tokens a step takes.</param>
    public Scheduler(PrefixCache cache, int blocks, EngineOptions options)
    {
        (_cache, _reuses, _tenantBlocks) = (cache, options.PrefixCache, (int)Math.Ceiling(options.TenantKvShare * blocks));
        (_maxSequences, _chunkTokens, _mixedChunkTokens) = (options.MaxSequences, options.ChunkTokens, options.MixedChunkTokens);
    }

    /// <summary>Admitted sequences, in the order of admission.</summary>
    public ReadOnlySpan<Sequence> Running => CollectionsMarshal.AsSpan(_running);

    /// <summary>Sequences that the step filled last runs, in its order: those that decode come first.</summary>
    public ReadOnlySpan<Sequence> Scheduled => CollectionsMarshal.AsSpan(_scheduled);

    public int Waiting => _waiting.Count;

    /// <summary>Sequences that gave way since the start.</summary>
    public long Preemptions { get; private set; }

    /// <summary>Prompt tokens of sequences admitted since the start.</summary>
    public long PrefixQueries { get; private set; }

    /// <summary>How many of those the cache held.</summary>
    public long PrefixHits { get; private set; }

    public bool HasWork => _running.Count > 0 || _waiting.Count > 0;

    /// <summary>Share of the tokens that they may write that sequences are expected to write.</summary>
    public double OutputShare => _forecast.Share;

    public void Enqueue(Sequence sequence) => _waiting.Enqueue(sequence);

    /// <summary>Every sequence, running or waiting.</summary>
    public IEnumerable<Sequence> All => _running.Concat(_waiting.All);

    /// <summary>Takes a sequence out and frees its blocks.</summary>
    public void Remove(Sequence sequence)
    {
        if (!_running.Remove(sequence)) _waiting.Remove(sequence);
        if (_owedRoom == sequence) _owedRoom = null;
        GiveBack(sequence);
        _waiting.End(sequence);
    }

    /// <summary>A sequence has written all it will.</summary>
    public void Learn(Sequence sequence) => _forecast.Ended(sequence.Generated, sequence.LengthLimit - sequence.Request.Prompt.Length);

    /// <summary>Between steps: blocks that sequences have left go to the tiers.</summary>
    /// <returns>Whether some are on their way.</returns>
    public bool Save() => _cache.Save();

    /// <summary>After a step: what its tokens took decides whether loading is worth while.</summary>
    public void TimeStep(int tokens, TimeSpan took)
    {
        if (tokens >= FewestTimedTokens) _cache.TimePrompt(took.TotalSeconds / tokens);
    }

    /// <summary>After a step: the tokens of a sequence that it computed are in the cache, and blocks that they fill can be shared from now on.</summary>
    public void Book(Sequence sequence)
    {
        sequence.Computed += sequence.Scheduled;
        if (_reuses) _cache.List(sequence.Table, sequence.ComputedTokens);
    }

    /// <summary>Fills a step, see <see cref="Scheduled"/>; sequences that run in it have <see cref="Sequence.Scheduled"/> above zero.</summary>
    /// <returns>A sequence that can neither grow nor make room: it is alone and has filled the KV cache; else null.</returns>
    public Sequence? Fill()
    {
        _scheduled.Clear();
        Yield();
        foreach (var sequence in _running) (sequence.Scheduled, sequence.LogitRow) = (0, -1);
        var decodes = false;
        for (var i = 0; i < _running.Count; i++)
        {
            decodes |= _running[i].Decodes;
            // While it loads it needs no more than it got.
            if (_running[i].Table is var table && table.Loaded < table.Loadable) continue;
            var count = _running.Count;
            if (!MakeRoom(_running[i])) return _running[i];
            // Somebody before it may have given way; those with room already need no more.
            if (_running.Count < count) i = -1;
        }
        foreach (var sequence in _running)
            if (sequence.Decodes) Add(sequence, 1);
        var chunk = decodes ? _mixedChunkTokens : _chunkTokens;
        var load = LoadedBlocks;
        foreach (var sequence in _running)
            if (!sequence.Decodes && chunk > 0 && IsReady(sequence, ref load)) chunk -= AddPrompt(sequence, chunk);
        _waiting.Look();
        while (chunk > 0 && Admit() is { } admitted)
            if (IsReady(admitted, ref load)) chunk -= AddPrompt(admitted, chunk);
        foreach (var sequence in _running) sequence.Tenant!.Served += sequence.Scheduled;
        return null;
    }

    /// <summary>
    /// How many steps like the one filled last would follow it if nobody came: while all that run decode, and until one of
    /// them ends, or fills a block and so needs another. Until then whoever found no room finds none, for sequences that run
    /// are expected to need no less than before.
    /// </summary>
    public int Repeats()
    {
        if (_running.Count == 0 || _cache.Groups.HasWindows || (_waiting.Count > 0 && !StaysOwedRoom)) return 0;
        var (repeats, size) = (int.MaxValue, _cache.Groups.BlockTokens);
        foreach (var sequence in _running)
        {
            if (!sequence.Decodes || sequence.Scheduled == 0) return 0;
            var (toEnd, toFull) = (sequence.LengthLimit - sequence.Length - 1, (size - (sequence.Length % size)) % size);
            repeats = Math.Min(repeats, Math.Min(toEnd, toFull));
        }
        return repeats;
    }

    /// <summary>Before a step of decodes ends: so many more, at most <see cref="Repeats"/>, have run too.</summary>
    public void Repeat(int steps)
    {
        foreach (var sequence in _running)
        {
            sequence.Scheduled += steps;
            sequence.Tenant!.Served += steps;
        }
    }

    /// <summary>Whether it is always the same sequence that waits for room, and nobody has to give way to it.</summary>
    private bool StaysOwedRoom => _owedRoom is { } waiting && _waiting.HasOneTenant && Victim().Request.Priority <= waiting.Request.Priority;

    /// <summary>Whether a sequence can compute: what tiers hold of its start is there, as far as one step may load, and it has blocks.</summary>
    private bool IsReady(Sequence sequence, ref int load)
    {
        var table = sequence.Table;
        for (; table.Loaded < table.Loadable; load--)
        {
            if (load == 0) return false;
            var listed = table.Listed;
            var outcome = _cache.Load(table, sequence.Tokens);
            if (outcome == LoadOutcome.Pending) return false;
            if (outcome == LoadOutcome.Gone) break;
            var found = (table.Listed - listed) * table.Groups.BlockTokens;
            if (found == 0) continue;
            sequence.Computed = table.Listed * table.Groups.BlockTokens;
            sequence.Account.Found(found, _cache.LoadedFrom, sequence.Preemptions > 0);
            if (sequence.Preemptions > 0) continue;
            sequence.Cached += found;
            PrefixHits += found;
        }
        // What a load that failed leaves open is filled in the next step, in which others may have to give way.
        return _cache.TryGrow(table, sequence.Length, sequence.Computed);
    }

    /// <summary>Gives the sequence the blocks for its next step, preempting others if it must: of the highest priority number the one admitted last.</summary>
    private bool MakeRoom(Sequence sequence)
    {
        while (!_cache.TryGrow(sequence.Table, sequence.Length, sequence.Computed))
        {
            var victim = Victim();
            if (victim == sequence && _running.Count == 1)
            {
                if (!_cache.BreakPin()) return false;
                continue;
            }
            _forecast.GaveWay();
            Preempt(victim);
            if (victim == sequence) return true;
        }
        return true;
    }

    private Sequence Victim()
    {
        var victim = _running[^1];
        for (var i = _running.Count - 2; i >= 0; i--)
            if (_running[i].Request.Priority > victim.Request.Priority) victim = _running[i];
        return victim;
    }

    /// <summary>The tokens are kept; their keys and values are found again or computed again, with the same numbers.</summary>
    private void Preempt(Sequence sequence)
    {
        _running.Remove(sequence);
        GiveBack(sequence);
        sequence.Account.GaveWay(sequence.Computed);
        // It may be admitted again without running in that step, for what it held is loaded first.
        (sequence.Computed, sequence.Scheduled, sequence.LogitRow) = (0, 0, -1);
        sequence.Preemptions++;
        Preemptions++;
        _waiting.Return(sequence);
    }

    /// <summary>
    /// The next waiting sequence, if its whole prompt fits now beside what it and those that run are expected to write; those
    /// that await what another computes, or whose tenant has its share, are passed over.
    /// </summary>
    private Sequence? Admit()
    {
        while (_waiting.Next() is { } sequence)
        {
            var cached = 0;
            if (_running.Count < _maxSequences && HasItsShare(sequence))
            {
                sequence.Account.HadItsShare = true;
                _waiting.PassOver(sequence);
                continue;
            }
            var placement = _running.Count == _maxSequences ? Placement.NoRoom : Place(sequence, out cached);
            if (placement == Placement.NoRoom)
            {
                _owedRoom = sequence;
                return null;
            }
            sequence.Account.Awaited |= placement == Placement.Awaits;
            if (placement == Placement.Awaits)
            {
                _waiting.PassOver(sequence);
                continue;
            }
            sequence.Computed = cached;
            sequence.Account.Found(cached, KvTier.Device, sequence.Preemptions > 0);
            if (sequence.Preemptions == 0) Count(sequence, cached);
            _waiting.Remove(sequence);
            _running.Add(sequence);
            return sequence;
        }
        return null;
    }

    private Placement Place(Sequence sequence, out int cached)
    {
        var next = Math.Min(sequence.Length + 1, sequence.LengthLimit) - sequence.Length;
        // Scores of a prompt's tokens need every one of them computed.
        var reuse = _reuses && !sequence.Request.PromptLogProbabilities;
        if (_running.Count > 0) return _cache.Place(sequence.Table, sequence.Tokens, next, reuse, out cached, Expected(sequence));
        // Alone it begins whatever it may write.
        Placement placement;
        do placement = _cache.Place(sequence.Table, sequence.Tokens, next, reuse, out cached);
        while (placement == Placement.NoRoom && _cache.BreakPin());
        return placement;
    }

    /// <summary>Blocks that this sequence and those that run are expected to need beyond what they hold.</summary>
    private int Expected(Sequence sequence)
    {
        var groups = sequence.Table.Groups;
        var blocks = groups.Blocks(sequence.Length + _forecast.Remaining(sequence)) - groups.Blocks(sequence.Length + 1);
        foreach (var running in _running) blocks += Math.Max(0, groups.Blocks(running.Length + _forecast.Remaining(running)) - running.Table.Held);
        return Math.Max(0, blocks);
    }

    /// <summary>Whether the sequence would give its tenant more than its share of the blocks while others are there.</summary>
    private bool HasItsShare(Sequence sequence)
    {
        if (sequence.Tenant!.Requests == _running.Count + _waiting.Count) return false;
        var (blocks, runs) = (sequence.Table.Groups.Blocks(sequence.Length + _forecast.Remaining(sequence)), false);
        foreach (var running in _running)
        {
            if (running.Tenant != sequence.Tenant) continue;
            (blocks, runs) = (blocks + running.Table.Held, true);
        }
        return runs && blocks > _tenantBlocks;
    }

    /// <summary>Before a step: one that runs gives way to one that waits under a lower priority number and found no room in the last step.</summary>
    private void Yield()
    {
        if (_owedRoom is { } waiting && _running.Count > 0 && Victim() is var victim && victim.Request.Priority > waiting.Request.Priority) Preempt(victim);
        _owedRoom = null;
    }

    private void Count(Sequence sequence, int cached)
    {
        sequence.Cached = cached;
        PrefixQueries += sequence.Length;
        PrefixHits += cached;
        if (sequence.Request.Explain) Explain(sequence, cached);
    }

    private void Explain(Sequence sequence, int cached)
    {
        var (missed, evictions) = !_reuses ? (new MissedTokens(sequence.Length, 0, 0, 0, 0), []) : _cache.Explain(sequence.Table, sequence.Tokens, cached, sequence.Request.CacheSalt is not null, _cache.Records.Knows(sequence.Table.Root));
        sequence.Account.Missed(missed, evictions);
    }

    private void GiveBack(Sequence sequence)
    {
        if (_reuses) _cache.Release(sequence.Table, sequence.ComputedTokens);
        else sequence.Table.Clear();
    }

    private int AddPrompt(Sequence sequence, int chunk)
    {
        var count = Math.Min(sequence.Remaining, chunk);
        Add(sequence, count);
        return count;
    }

    private void Add(Sequence sequence, int count)
    {
        sequence.Scheduled = count;
        _scheduled.Add(sequence);
    }
}

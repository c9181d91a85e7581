using System.Collections.Immutable;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Fit;

namespace Kvasir.Planning.Workloads;

/// <summary>
/// Plays a workload on a plan: requests arrive, grow and leave, while blocks are given out and taken back by the engine's
/// layout. Time goes in small ticks at the roofline's speeds; admission is in order of arrival, and when the pool is full
/// the request admitted last is put back and computed again, as paged engines do.
/// </summary>
public sealed class WorkloadPlay
{
    private const int MostTicks = 40_000;
    private const double ShortestTick = 0.05, Patience = 2;
    // Steps mix chunks of prompts with decoding; neither waits for the other entirely.
    private const double PromptShare = 0.5;

    private readonly KvLayout _layout;
    private readonly EngineSpeed _speed;
    private readonly long _pool, _context, _blockBytes;
    private readonly int _slots;
    private readonly bool _shares;
    private readonly CachedBlocks _blocks = new();
    private readonly LinkedList<Work> _queue = new();
    private readonly List<Work> _running = [];
    private readonly PriorityQueue<WorkloadRequest, (double Seconds, int Order)> _coming = new();
    private readonly Dictionary<int, Queue<WorkloadRequest>> _turns = [];
    private readonly List<double> _firstTokens = [];
    private long _privateBytes, _peakUsed, _promptTokens, _reusedTokens, _lostTokens;
    private int _finished, _refused, _preemptions, _peakRunning, _peakQueued, _expected;
    private double? _fullAt;
    private double _now, _waitedMemory, _waitedSlot;

    private WorkloadPlay(MemoryEstimate estimate, EngineSpeed speed)
    {
        (_layout, _speed, _pool, _context, _slots) = (estimate.Layout, speed, Math.Max(0, estimate.Pool), estimate.Context, estimate.MaxSequences);
        _blockBytes = _layout.BytesPerToken * WorkloadRequest.BlockTokens;
        // Prefixes are shared where a token costs the same wherever it stands: windows and states keep none of their past.
        var (half, whole) = (_layout.RequestBytes(_context / 2), _layout.RequestBytes(_context));
        _shares = _blockBytes > 0 && estimate.FixedPool is null && whole > 1.8 * half && whole < 2.2 * half;
    }

    /// <summary>Plays the requests.</summary>
    /// <param name="plan">A plan that fits.</param>
    /// <param name="speed">How fast the engine works.</param>
    /// <param name="requests">In order of arrival.</param>
    /// <param name="samples">How many moments to report.</param>
    public static WorkloadOutcome Run(MemoryPlan plan, EngineSpeed speed, ImmutableArray<WorkloadRequest> requests, int samples = 48) =>
        new WorkloadPlay(plan.Estimate, speed).Run(requests, samples);

    private WorkloadOutcome Run(ImmutableArray<WorkloadRequest> requests, int samples)
    {
        var arrivals = requests[^1].ArrivalSeconds;
        var end = (arrivals * Patience) + 600;
        var tick = Math.Max(ShortestTick, end / MostTicks);
        var taken = new List<WorkloadSample>();
        Expect(requests);
        while ((_coming.Count > 0 || _queue.Count > 0 || _running.Count > 0) && _now < end)
        {
            while (_coming.TryPeek(out _, out var time) && time.Seconds <= _now) Arrive(_coming.Dequeue());
            Admit(tick);
            Compute(tick);
            MakeRoom();
            taken.Add(new(_now, Used, (long)_blocks.Unused * _blockBytes, _running.Count, _queue.Count));
            (_peakUsed, _peakRunning, _peakQueued) = (Math.Max(_peakUsed, Used), Math.Max(_peakRunning, _running.Count), Math.Max(_peakQueued, _queue.Count));
            // Nothing to do until somebody comes.
            _now = _running.Count == 0 && _queue.Count == 0 && _coming.TryPeek(out _, out var soonest) ? Math.Max(_now + tick, soonest.Seconds) : _now + tick;
        }
        return Outcome(requests.Length, Spaced(taken, samples));
    }

    /// <summary>Of a conversation the first turn alone has its time; the others wait for the answers before them.</summary>
    private void Expect(ImmutableArray<WorkloadRequest> requests)
    {
        foreach (var request in requests)
        {
            if (request.Conversation is not { } conversation) _coming.Enqueue(request, (request.ArrivalSeconds, _expected++));
            else if (_turns.TryGetValue(conversation, out var turns)) turns.Enqueue(request);
            else
            {
                _turns.Add(conversation, new());
                _coming.Enqueue(request, (request.ArrivalSeconds, _expected++));
            }
        }
    }

    private void ExpectNext(WorkloadRequest answered)
    {
        if (answered.Conversation is not { } conversation || !_turns[conversation].TryDequeue(out var turn)) return;
        var time = _now + turn.PauseSeconds;
        _coming.Enqueue(turn with { ArrivalSeconds = time }, (time, _expected++));
    }

    private long Used => _privateBytes + ((long)_blocks.Used * _blockBytes);

    private void Arrive(WorkloadRequest request)
    {
        if (request.TotalTokens > _context || _layout.RequestBytes(request.TotalTokens) > _pool)
        {
            _refused++;
            ExpectNext(request);
        }
        else _queue.AddLast(new Work(request, _shares ? Math.Min(request.Blocks.Length, request.PromptTokens / WorkloadRequest.BlockTokens) : 0));
    }

    private void Admit(double tick)
    {
        while (_queue.First is { Value: var work })
        {
            if (_running.Count >= _slots)
            {
                _waitedSlot += tick;
                return;
            }
            var tokens = work.Request.PromptTokens + (int)work.Answered;
            var own = Private(work, tokens);
            if (Used + own + ((long)_blocks.NewlyUsed(work.Request.Blocks, work.Blocks) * _blockBytes) > _pool)
            {
                _waitedMemory += tick;
                _fullAt ??= _now;
                return;
            }
            _queue.RemoveFirst();
            var (here, seen) = _blocks.Match(work.Request.Blocks, work.Blocks);
            _blocks.Acquire(work.Request.Blocks, work.Blocks);
            // The last token of a prompt is always computed, since the first answer comes of it.
            var reused = Math.Min(here * WorkloadRequest.BlockTokens, Math.Max(0, tokens - 1));
            work.PromptLeft = Math.Max(1, tokens - reused);
            work.PrivateBytes = own;
            _privateBytes += own;
            (_promptTokens, _reusedTokens, _lostTokens) = (_promptTokens + tokens, _reusedTokens + reused, _lostTokens + ((seen - here) * WorkloadRequest.BlockTokens));
            _running.Add(work);
            DropKept();
        }
    }

    private void Compute(double tick)
    {
        var decoding = _running.Count(work => work.PromptLeft == 0);
        var forPrompts = decoding > 0 ? tick * PromptShare : tick;
        var left = forPrompts * _speed.PrefillTokensPerSecond;
        foreach (var work in _running)
        {
            if (work.PromptLeft == 0) continue;
            if (left <= 0) break;
            var done = Math.Min(left, work.PromptLeft);
            left -= done;
            work.PromptLeft -= done;
            if (work.PromptLeft > 0 || work.Started) continue;
            work.Started = true;
            _firstTokens.Add(_now + tick - work.Request.ArrivalSeconds);
        }
        if (decoding == 0) return;
        var spare = Math.Max(0, left) / _speed.PrefillTokensPerSecond;
        var steps = (tick - forPrompts + spare) / _speed.Step(decoding);
        for (var i = _running.Count - 1; i >= 0; i--)
        {
            var work = _running[i];
            if (work.PromptLeft > 0) continue;
            work.Answered = Math.Min(work.Request.AnswerTokens, work.Answered + steps);
            if (work.Answered >= work.Request.AnswerTokens) Finish(i);
            else Grow(work);
        }
    }

    private void Grow(Work work)
    {
        var bytes = Private(work, work.Request.PromptTokens + (int)Math.Ceiling(work.Answered));
        _privateBytes += bytes - work.PrivateBytes;
        work.PrivateBytes = bytes;
    }

    private void Finish(int index)
    {
        var work = _running[index];
        Leave(work);
        _running.RemoveAt(index);
        _finished++;
        ExpectNext(work.Request);
        // The answer's blocks are there for the next turn.
        if (!_shares || work.Request.Blocks.Length <= work.Blocks) return;
        _blocks.Acquire(work.Request.Blocks, work.Request.Blocks.Length);
        _blocks.Release(work.Request.Blocks, work.Request.Blocks.Length);
    }

    private void Leave(Work work)
    {
        _blocks.Release(work.Request.Blocks, work.Blocks);
        _privateBytes -= work.PrivateBytes;
        work.PrivateBytes = 0;
    }

    private void MakeRoom()
    {
        while (Used > _pool && _running.Count > 1)
        {
            var last = _running[^1];
            _running.RemoveAt(_running.Count - 1);
            Leave(last);
            _queue.AddFirst(last);
            _preemptions++;
            _fullAt ??= _now;
        }
        DropKept();
    }

    private void DropKept()
    {
        if (_blockBytes == 0) return;
        var over = Used + ((long)_blocks.Unused * _blockBytes) - _pool;
        if (over > 0) _blocks.Drop((int)((over + _blockBytes - 1) / _blockBytes));
    }

    /// <summary>Bytes of a request that it shares with nobody.</summary>
    private long Private(Work work, int tokens) => Math.Max(0, _layout.RequestBytes(tokens) - ((long)work.Blocks * _blockBytes));

    private WorkloadOutcome Outcome(int requests, ImmutableArray<WorkloadSample> samples)
    {
        _firstTokens.Sort();
        return new WorkloadOutcome
        {
            PoolBytes = _pool, Requests = requests, Refused = _refused, Finished = _finished, Seconds = _now, FullAtSeconds = _fullAt,
            WaitedForMemorySeconds = _waitedMemory, WaitedForSlotSeconds = _waitedSlot, Preemptions = _preemptions, PeakUsedBytes = _peakUsed, PeakRunning = _peakRunning,
            PeakQueued = _peakQueued, PromptTokens = _promptTokens, ReusedTokens = _reusedTokens, LostTokens = _lostTokens, LostSeconds = _lostTokens / _speed.PrefillTokensPerSecond,
            KeepAllBytes = (long)_blocks.EverSeen * _blockBytes, MedianFirstTokenSeconds = Quantile(0.5), SlowFirstTokenSeconds = Quantile(0.95), Samples = samples,
        };
    }

    private double Quantile(double share) => _firstTokens.Count == 0 ? 0 : _firstTokens[Math.Min(_firstTokens.Count - 1, (int)(share * _firstTokens.Count))];

    /// <summary>Evenly spaced moments, each the fullest of its stretch.</summary>
    private static ImmutableArray<WorkloadSample> Spaced(List<WorkloadSample> taken, int count)
    {
        if (taken.Count == 0) return [];
        var end = taken[^1].Seconds;
        return [.. taken.GroupBy(sample => end <= 0 ? 0 : Math.Min(count - 1, (int)(sample.Seconds / end * count))).Select(group => group.MaxBy(sample => sample.UsedBytes + ((long)sample.Queued << 20)))];
    }

    private sealed class Work(WorkloadRequest request, int blocks)
    {
        public WorkloadRequest Request { get; } = request;
        public int Blocks { get; } = blocks;
        public double PromptLeft;
        public double Answered;
        public long PrivateBytes;
        public bool Started;
    }
}

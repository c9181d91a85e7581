using System.Collections.Immutable;
using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.KvCache.Tiers;
using Kvasir.Engine.Model;
using Kvasir.Engine.Sampling;
using Kvasir.Engine.Scheduling;
using Kvasir.Kernels;

namespace Kvasir.Engine;

/// <summary>
/// The engine's thread: takes in what came, lets the scheduler choose, runs the step, samples, hands tokens out. It waits
/// while there is nothing to do.
/// </summary>
internal sealed class StepLoop : IDisposable
{
    private static readonly TimeSpan LongestSave = TimeSpan.FromSeconds(20), FetchPause = TimeSpan.FromMilliseconds(10);

    private readonly Lock _inboxLock = new();
    private readonly List<Sequence> _arrived = [];
    private readonly List<GenerationStream> _left = [];
    private readonly AutoResetEvent _wake = new(false);
    private readonly TaskCompletionSource _idleForever = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Decoder _decoder;
    private readonly Scheduler _scheduler;
    private readonly Sampler _sampler;
    private readonly BlockPool _pool;
    private readonly KvTiers? _tiers;
    private readonly KvEventLog? _events;
    private readonly StepQuestions _questions = new(), _idleQuestions = new();
    private readonly MemoryAccount _memory;
    private readonly PrefixCache _cache;
    private readonly Step _step;
    private readonly TimeProvider _time;
    private readonly List<Sequence> _finished = [];
    private readonly Thread _thread;
    private bool _draining;
    private bool _stopping;
    private bool _isWaiting;
    private SleepLevel _sleeps;
    private long _promptTokens, _generatedTokens, _steps, _stepTicks, _bookTicks;
    private int _waitingNow, _runningNow, _blocksUsedNow, _blocksIdleNow, _blocksPinnedNow;
    private long _preemptionsNow, _evictionsNow, _prefixQueriesNow, _prefixHitsNow, _brokenPinsNow;

    public StepLoop(Decoder decoder, Scheduler scheduler, Sampler sampler, PrefixCache cache, BlockPool pool, KvTiers? tiers, KvEventLog? events, EngineMemoryPlan plan, TimeProvider time)
    {
        (_decoder, _scheduler, _sampler, _pool, _tiers, _events, _time) = (decoder, scheduler, sampler, pool, tiers, events, time);
        _cache = cache;
        _memory = new MemoryAccount(scheduler, cache, pool, tiers, plan, time);
        _step = new Step(plan.StepTokens, plan.Groups.Count);
        _thread = new Thread(Work) { IsBackground = true, Name = "kvasir-engine" };
    }

    public void Start() => _thread.Start();

    public void Submit(Sequence sequence, int maxSequences, int maxQueue)
    {
        lock (_inboxLock)
        {
            if (_sleeps != SleepLevel.Awake) throw new RequestException(RefusalKind.Asleep, "The model sleeps and takes no requests until it is woken (POST /wake_up).");
            if (_draining || _stopping) throw new RequestException(RefusalKind.Closing, "The engine is shutting down and takes no new requests.");
            var waiting = _waitingNow + _arrived.Count;
            // Those that the next step takes in are not in the queue's way.
            if (waiting >= maxQueue + Math.Max(0, maxSequences - _runningNow))
                throw new RequestException(RefusalKind.QueueFull, $"{waiting} requests are waiting and the queue holds {maxQueue}. Try again later, or raise --max-queue.");
            _arrived.Add(sequence);
            _wake.Set();
        }
    }

    public void Leave(GenerationStream stream)
    {
        lock (_inboxLock)
        {
            // Readers may outlive the engine: what they held is gone already.
            if (_stopping) return;
            _left.Add(stream);
            _wake.Set();
        }
    }

    /// <summary>Asks something of what is the engine's thread's own: it is answered between two steps.</summary>
    /// <exception cref="RequestException">Too many ask, or the engine has ended.</exception>
    public Task<T> AskAsync<T>(Func<T> question)
    {
        lock (_inboxLock)
        {
            if (_stopping) throw new RequestException(RefusalKind.Closing, "The engine is shutting down and answers no more questions.");
            var answer = _questions.Add(question);
            _wake.Set();
            return answer;
        }
    }

    /// <summary>What the engine has given back, or is about to.</summary>
    public SleepLevel Sleeps
    {
        get { lock (_inboxLock) return _sleeps; }
        init => _sleeps = value;
    }

    /// <summary>Refuses requests, waits for those that are here, and gives memory back.</summary>
    public async Task SleepAsync(SleepLevel level, TimeSpan wait, EngineSleep sleep)
    {
        Task<bool> sleeping;
        SleepLevel before;
        var (isWanted, isDecided) = (true, false);
        lock (_inboxLock)
        {
            if (_stopping) throw new RequestException(RefusalKind.Closing, "The engine is shutting down.");
            before = _sleeps;
            if (level <= before) return;
            _sleeps = level;
            sleeping = _idleQuestions.Add(() =>
            {
                SaveAll();
                // Who asked may have given up, or somebody may have woken the engine; from here on neither can.
                lock (_inboxLock)
                {
                    if (!isWanted || _sleeps < level) return false;
                    isDecided = true;
                }
                sleep.Sleep(level);
                return true;
            });
            _wake.Set();
        }
        try
        {
            await sleeping.WaitAsync(wait, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            bool isLate;
            lock (_inboxLock)
            {
                isLate = isDecided;
                if (!isLate) (isWanted, _sleeps) = (false, before);
            }
            if (isLate)
            {
                await sleeping.ConfigureAwait(false);
                return;
            }
            throw new TimeoutException($"Requests still ran after {wait.TotalSeconds:0} s, so the engine stays awake. Wait longer, or cancel them.");
        }
    }

    /// <summary>Takes memory again, and then requests.</summary>
    public Task WakeAsync(EngineSleep sleep) => AskAsync(() =>
    {
        sleep.Wake();
        lock (_inboxLock) _sleeps = SleepLevel.Awake;
        return true;
    });

    /// <summary>Where the memory is. Ask for it with <see cref="AskAsync"/>.</summary>
    public MemoryReport Memory(MemoryLedger ledger) => _memory.Report(Snapshot(ledger));

    /// <summary>Deletes what is kept. Ask for it with <see cref="AskAsync"/>.</summary>
    public KvDeletion Delete(KvSelection selection) => _cache.Delete(selection, _scheduler.All.Select(sequence => sequence.Table));

    /// <summary>Makes the engine's thread look around; for any thread.</summary>
    public void Wake() => _wake.Set();

    public Task DrainAsync()
    {
        lock (_inboxLock)
        {
            _draining = true;
            if (!_stopping) _wake.Set();
        }
        return _idleForever.Task;
    }

    public Task StopAsync()
    {
        lock (_inboxLock)
        {
            _stopping = true;
            _wake.Set();
        }
        // A loop that was stepped by hand ends as one that ran: its thread finds that all is over.
        if (_thread.ThreadState.HasFlag(ThreadState.Unstarted)) _thread.Start();
        return _stopped.Task;
    }

    /// <summary>After <see cref="StopAsync"/>.</summary>
    public void Dispose() => _wake.Dispose();

    public EngineSnapshot Snapshot(MemoryLedger ledger)
    {
        int arrived;
        SleepLevel sleeps;
        lock (_inboxLock) (arrived, sleeps) = (_arrived.Count, _sleeps);
        return new EngineSnapshot
        {
            Running = Volatile.Read(ref _runningNow),
            Waiting = Volatile.Read(ref _waitingNow) + arrived,
            Sleeps = sleeps,
            KvBlocks = _pool.Capacity,
            KvTokens = _pool.Capacity / _cache.Groups.Count * BlockTable.BlockTokens,
            KvBlocksUsed = Volatile.Read(ref _blocksUsedNow),
            KvBlocksIdle = Volatile.Read(ref _blocksIdleNow),
            KvBlocksPinned = Volatile.Read(ref _blocksPinnedNow),
            BrokenPins = Volatile.Read(ref _brokenPinsNow),
            KvEvictions = Volatile.Read(ref _evictionsNow),
            PrefixQueryTokens = Volatile.Read(ref _prefixQueriesNow),
            PrefixHitTokens = Volatile.Read(ref _prefixHitsNow),
            PromptTokens = Volatile.Read(ref _promptTokens),
            GeneratedTokens = Volatile.Read(ref _generatedTokens),
            Steps = Volatile.Read(ref _steps),
            BookSeconds = (double)Volatile.Read(ref _bookTicks) / _time.TimestampFrequency,
            StepSeconds = (double)Volatile.Read(ref _stepTicks) / _time.TimestampFrequency,
            Preemptions = Volatile.Read(ref _preemptionsNow),
            KvTiers = [.. _tiers?.States ?? []],
            Ledger = ledger.Lines(),
            BudgetBytes = ledger.BudgetBytes,
        };
    }

    private void Work()
    {
        try
        {
            while (Turn())
            {
                if (!_scheduler.HasWork) _wake.WaitOne();
                else AwaitTiers();
            }
        }
        finally
        {
            FailAll(new RequestException(RefusalKind.Closing, "The engine was shut down before the request was done."));
            foreach (var questions in (StepQuestions[])[_questions, _idleQuestions])
                questions.Refuse(new RequestException(RefusalKind.Closing, "The engine was shut down before it could answer."));
            SaveAll();
            Publish();
            _idleForever.TrySetResult();
            _stopped.TrySetResult();
        }
    }

    /// <summary>Waits until a tier has brought something, where that is all that there is to do.</summary>
    internal void AwaitTiers()
    {
        if (_isWaiting) _wake.WaitOne(FetchPause);
    }

    /// <summary>Takes in what came and runs a step if there is work; false when the engine shall end. For the loop's thread, or tests before it starts.</summary>
    internal bool Turn()
    {
        if (!TakeIn()) return false;
        _cache.EndPins(_time.GetTimestamp());
        _questions.Answer();
        if (_scheduler.HasWork) RunStep();
        if (!_scheduler.HasWork) _idleQuestions.Answer();
        _scheduler.Save();
        _events?.Publish();
        _memory.Sample();
        lock (_inboxLock) Publish();
        return true;
    }

    /// <summary>Takes in arrivals and departures; false when the engine shall end.</summary>
    private bool TakeIn()
    {
        lock (_inboxLock)
        {
            foreach (var sequence in _arrived) _scheduler.Enqueue(sequence);
            _arrived.Clear();
            foreach (var stream in _left)
                if (_scheduler.All.FirstOrDefault(sequence => sequence.Stream == stream) is { } sequence) Finish(sequence, FinishReason.Cancelled);
            _left.Clear();
            Publish();
            if (_draining && !_scheduler.HasWork) _idleForever.TrySetResult();
            return !_stopping;
        }
    }

    private void Publish()
    {
        Volatile.Write(ref _waitingNow, _scheduler.Waiting);
        Volatile.Write(ref _runningNow, _scheduler.Running.Length);
        Volatile.Write(ref _blocksUsedNow, _pool.Capacity - _pool.Free);
        Volatile.Write(ref _blocksIdleNow, _pool.Idle);
        Volatile.Write(ref _blocksPinnedNow, _cache.Records.Pinned);
        Volatile.Write(ref _brokenPinsNow, _cache.BrokenPins);
        Volatile.Write(ref _preemptionsNow, _scheduler.Preemptions);
        Volatile.Write(ref _evictionsNow, _pool.Evictions);
        Volatile.Write(ref _prefixQueriesNow, _scheduler.PrefixQueries);
        Volatile.Write(ref _prefixHitsNow, _scheduler.PrefixHits);
    }

    /// <summary>What requests left goes to the tiers before the engine ends, within a bound.</summary>
    private void SaveAll()
    {
        var started = _time.GetTimestamp();
        _cache.BeginLeaving();
        while (_scheduler.Save() && _time.GetElapsedTime(started) < LongestSave) _wake.WaitOne(TimeSpan.FromMilliseconds(100));
    }

    private void RunStep()
    {
        var started = _time.GetTimestamp();
        try
        {
            if (_scheduler.Fill() is { } full)
            {
                _isWaiting = false;
                Finish(full, FinishReason.Length);
                return;
            }
            // Everything that could run is being fetched.
            _isWaiting = _scheduler.Scheduled.IsEmpty;
            if (_isWaiting) return;
            _step.Clear();
            foreach (var sequence in _scheduler.Scheduled) Add(sequence);
            var computes = _time.GetTimestamp();
            _bookTicks += computes - started;
            _decoder.Run(_step);
            _scheduler.TimeStep(_step.Count, _time.GetElapsedTime(computes));
            TakeResults(started);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // Whatever was in the step has lost its state; the engine itself goes on.
            FailAll(new RequestException(RefusalKind.Failed, $"A step failed inside the engine: {error.Message}", error));
        }
        _steps++;
        _stepTicks += _time.GetTimestamp() - started;
    }

    private void Add(Sequence sequence)
    {
        var reachesEnd = sequence.Scheduled == sequence.Remaining;
        // A resumed sequence has scored its prompt before it gave way, or scores it again with the same result.
        var scores = sequence.Request.PromptLogProbabilities && sequence.Computed < sequence.Request.Prompt.Length;
        sequence.LogitRow = _step.Add(sequence.Pending(sequence.Scheduled), sequence.Computed, sequence.Table, reachesEnd, scores);
    }

    private void TakeResults(long started)
    {
        foreach (var sequence in _scheduler.Running)
        {
            if (sequence.Scheduled == 0) continue;
            if (sequence.Started == 0) sequence.Started = started;
        }
        var rows = default(FloatMatrix);
        var (firstRow, rowCount) = (0, 0);
        foreach (var sequence in _scheduler.Running)
        {
            if (sequence.Scheduled == 0) continue;
            var scored = sequence.Request.PromptLogProbabilities && sequence.Computed < sequence.Request.Prompt.Length;
            var count = sequence.LogitRow < 0 ? 0 : scored ? sequence.Scheduled : 1;
            for (var i = 0; i < count; i++)
            {
                var row = sequence.LogitRow + i;
                // Rows ascend but where one admitted earlier computes its prompt later: its blocks came from a tier first.
                if (row < firstRow || row >= firstRow + rowCount) (firstRow, rows, rowCount) = Project(row);
                var logits = rows.Row(row - firstRow);
                var position = sequence.Computed + (scored ? i : sequence.Scheduled - 1);
                if (scored && position + 1 < sequence.Request.Prompt.Length)
                    sequence.PromptScores[position] = (float)(logits[sequence.TokenAt(position + 1)] - LogProbabilities.LogSum(logits));
                if (position + 1 == sequence.Length) Sample(sequence, logits);
            }
            Advance(sequence);
        }
        var removes = _time.GetTimestamp();
        foreach (var sequence in _finished) _scheduler.Remove(sequence);
        _finished.Clear();
        _bookTicks += _time.GetTimestamp() - removes;
    }

    private (int First, FloatMatrix Rows, int Count) Project(int row)
    {
        var rows = _decoder.Logits(row);
        return (row, rows, rows.Rows);
    }

    private void Sample(Sequence sequence, ReadOnlySpan<float> logits)
    {
        var request = sequence.Request;
        if (request.MaxTokens == 0) return;
        var token = _sampler.Sample(logits, request.Sampling, sequence.History, SeededDraw.At(sequence.Seed, sequence.Length));
        var (value, top) = (float.NaN, ImmutableArray<TokenLogProbability>.Empty);
        if (request.LogProbabilities)
        {
            var logSum = LogProbabilities.LogSum(logits);
            (value, top) = ((float)(logits[token] - logSum), LogProbabilities.Top(logits, logSum, request.TopLogProbabilities));
        }
        sequence.Append(token);
        var isFirst = sequence.FirstToken == 0;
        if (isFirst) sequence.FirstToken = _time.GetTimestamp();
        _generatedTokens++;
        // Whoever leaves at a text of his own choosing reads what is known by then.
        if (isFirst || request.Explain)
        {
            var usage = Usage(sequence);
            sequence.Stream.Tell(usage, Explanation(sequence, usage));
        }
        sequence.Stream.Push(new GeneratedToken(token, value, top));
    }

    /// <summary>Books the step's tokens and ends the sequence where it ends.</summary>
    private void Advance(Sequence sequence)
    {
        var (before, books) = (sequence.Computed, _time.GetTimestamp());
        _scheduler.Book(sequence);
        _bookTicks += _time.GetTimestamp() - books;
        _promptTokens += Math.Max(0, Math.Min(sequence.Computed, sequence.Request.Prompt.Length) - before);
        if (sequence.Decodes && sequence.Request.StopTokens.Contains(sequence.TokenAt(sequence.Length - 1))) Complete(sequence, FinishReason.Stop);
        else if (sequence.IsWhole) Complete(sequence, FinishReason.Length);
    }

    private void Complete(Sequence sequence, FinishReason reason)
    {
        _finished.Add(sequence);
        _scheduler.Learn(sequence);
        Report(sequence, reason);
    }

    private void Finish(Sequence sequence, FinishReason reason)
    {
        _scheduler.Remove(sequence);
        Report(sequence, reason);
    }

    private void Report(Sequence sequence, FinishReason reason)
    {
        var usage = Usage(sequence);
        sequence.Stream.Complete(reason, usage, Explanation(sequence, usage));
    }

    private RequestUsage Usage(Sequence sequence)
    {
        var (frequency, now) = ((double)_time.TimestampFrequency, _time.GetTimestamp());
        var started = sequence.Started == 0 ? now : sequence.Started;
        var first = sequence.FirstToken == 0 ? now : sequence.FirstToken;
        return new RequestUsage(sequence.Request.Prompt.Length, sequence.Cached, sequence.Generated, sequence.Preemptions,
            (started - sequence.Submitted) / frequency, (first - started) / frequency) { DecodeSeconds = (now - first) / frequency };
    }

    private static RequestExplanation? Explanation(Sequence sequence, in RequestUsage usage) =>
        sequence.Request.Explain ? sequence.Account.Explain(sequence, usage.QueueSeconds, usage.PrefillSeconds, usage.DecodeSeconds) : null;

    private void FailAll(RequestException error)
    {
        _finished.Clear();
        lock (_inboxLock)
        {
            if (_stopping)
            {
                foreach (var sequence in _arrived) sequence.Stream.Fail(error);
                _arrived.Clear();
            }
        }
        foreach (var sequence in _scheduler.All.ToArray())
        {
            _scheduler.Remove(sequence);
            sequence.Stream.Fail(error);
        }
    }
}

using Kvasir.Simulation.Traces;

namespace Kvasir.Simulation.Workers;

/// <summary>A request at a worker.</summary>
internal sealed class Job(TraceRequest request, int number)
{
    public TraceRequest Request => request;
    public int Number => number;
    public int MatchedBlocks { get; set; }
    public int OtherBlocks { get; set; }
    public int Computed { get; set; }
    public int CachedTokens { get; set; }
    public int Generated { get; set; }
    public double FirstTokenSeconds { get; set; }
    public Gateway.Fleet.WorkerLoad.Lease? Lease { get; set; }
    public double PredictedUncached { get; set; }
    public double SentSeconds { get; set; }
}

/// <summary>
/// A worker with continuous batching: each step runs all decodes and chunks of prompts, oldest first, as the engine's
/// scheduler does. Steps in which nothing but decoding happens are taken together until one of them ends.
/// </summary>
internal sealed class SimulatedWorker
{
    private const int LongestRun = 64;
    private readonly WorkerSpeed _speed;
    private readonly int _blockTokens;
    private readonly Queue<Job> _waiting = new();
    private readonly List<Job> _prefilling = [], _decoding = [];
    private readonly List<(Job Job, int Tokens)> _chunks = [];
    private double _stepStart, _stepSeconds;
    private int _steps;

    public SimulatedWorker(WorkerSpeed speed, int blockTokens, SimulatedCache? cache = null)
    {
        (_speed, _blockTokens) = (speed, blockTokens);
        Cache = cache ?? new SimulatedCache((int)Math.Max(1, speed.CapacityTokens / blockTokens));
    }

    public SimulatedCache Cache { get; }

    /// <summary>When the running step (or run of steps) ends; infinite while idle.</summary>
    public double NextSeconds { get; private set; } = double.PositiveInfinity;

    public Action<Job, double> FirstToken { private get; init; } = static (_, _) => { };

    public Action<Job, double> Finished { private get; init; } = static (_, _) => { };

    /// <summary>Whether a prompt with its answer fits at all.</summary>
    public bool CanEver(TraceRequest request) => BlocksOf(request) <= Math.Max(1, _speed.CapacityTokens / _blockTokens);

    public void Enqueue(Job job, double now)
    {
        _waiting.Enqueue(job);
        if (double.IsPositiveInfinity(NextSeconds)) Begin(now);
        else if (_chunks.Count == 0 && _steps > 1)
        {
            // A run of decoding steps is cut at the step that runs now.
            _steps = Math.Min(_steps, (int)((now - _stepStart) / _stepSeconds) + 1);
            NextSeconds = _stepStart + (_steps * _stepSeconds);
        }
    }

    /// <summary>Ends the step and begins the next.</summary>
    public void Advance()
    {
        var now = NextSeconds;
        for (var i = _decoding.Count - 1; i >= 0; i--)
        {
            var job = _decoding[i];
            job.Generated += _steps;
            if (job.Generated < job.Request.OutputTokens) continue;
            _decoding.RemoveAt(i);
            End(job, now);
        }
        foreach (var (job, tokens) in _chunks)
        {
            job.Computed += tokens;
            if (job.Computed < job.Request.PromptTokens) continue;
            _prefilling.Remove(job);
            Cache.Publish(job.Request.Blocks, job.MatchedBlocks);
            job.Generated = 1;
            FirstToken(job, now);
            if (job.Request.OutputTokens <= 1) End(job, now);
            else _decoding.Add(job);
        }
        Begin(now);
    }

    private void End(Job job, double now)
    {
        Cache.Release(job.Request.Blocks, job.OtherBlocks);
        Finished(job, now);
    }

    private void Begin(double now)
    {
        _chunks.Clear();
        var (room, pairs, tokens) = (_speed.ChunkTokens, 0.0, 0);
        foreach (var job in _prefilling) Take(job);
        while (room > 0 && _prefilling.Count + _decoding.Count < _speed.MaxSequences && _waiting.TryPeek(out var next) && Admit(next))
        {
            _waiting.Dequeue();
            _prefilling.Add(next);
            Take(next);
        }
        if (_chunks.Count == 0 && _decoding.Count == 0)
        {
            NextSeconds = double.PositiveInfinity;
            return;
        }
        var context = 0.0;
        var shortest = LongestRun;
        foreach (var job in _decoding)
        {
            context += job.Request.PromptTokens + job.Generated;
            shortest = Math.Min(shortest, job.Request.OutputTokens - job.Generated);
        }
        _steps = _chunks.Count > 0 ? 1 : shortest;
        _stepSeconds = _speed.StepSeconds(tokens, pairs, _decoding.Count, context);
        (_stepStart, NextSeconds) = (now, now + (_steps * _stepSeconds));

        void Take(Job job)
        {
            var chunk = Math.Min(room, job.Request.PromptTokens - job.Computed);
            if (chunk <= 0) return;
            _chunks.Add((job, chunk));
            pairs += chunk * (job.Computed + (chunk / 2.0));
            (room, tokens) = (room - chunk, tokens + chunk);
        }
    }

    private bool Admit(Job job)
    {
        var matched = Cache.Match(job.Request.Blocks);
        // The last token is computed even where all is cached: it makes the first token.
        if (matched * _blockTokens >= job.Request.PromptTokens) matched--;
        var others = BlocksOf(job.Request) - matched;
        if (!Cache.TryHold(job.Request.Blocks, matched, others)) return false;
        (job.MatchedBlocks, job.OtherBlocks) = (matched, BlocksOf(job.Request) - job.Request.Blocks.Length);
        job.Computed = job.CachedTokens = matched * _blockTokens;
        return true;
    }

    private int BlocksOf(TraceRequest request) =>
        Math.Max(request.Blocks.Length, (request.PromptTokens + request.OutputTokens + _blockTokens - 1) / _blockTokens);
}

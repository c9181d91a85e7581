using System.Collections.Immutable;
using Kvasir.Engine;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.Scheduling;

namespace Kvasir.Simulation.Workers;

/// <summary>
/// A worker: the engine's scheduler and KV cache, each of whose steps takes as long as a cost model says. Steps that are
/// alike are taken together, and cut at the one that runs when a request comes.
/// </summary>
internal sealed class ClockedWorker
{
    private readonly VirtualEngine _engine;
    private readonly WorkerSpeed _speed;
    private readonly VirtualClock _clock;
    private readonly int _mostRepeats;
    private readonly Dictionary<VirtualRequest, Job> _jobs = [];
    private readonly List<double> _ends = [];

    /// <param name="speed">How long steps take.</param>
    /// <param name="books">The KV cache.</param>
    /// <param name="clock">Moved to the end of each step.</param>
    /// <param name="mostRepeats">Steps taken together beyond one, at most.</param>
    public ClockedWorker(WorkerSpeed speed, KvBooks books, VirtualClock clock, int mostRepeats = int.MaxValue)
    {
        (_speed, _clock, _mostRepeats, Books) = (speed, clock, mostRepeats, books);
        var options = new EngineOptions { MaxSequences = speed.MaxSequences, ChunkTokens = speed.ChunkTokens, MixedChunkTokens = speed.ChunkTokens };
        _engine = new VirtualEngine(books, options)
        {
            FirstToken = request => FirstToken(_jobs[request], request, _clock.Seconds),
            Finished = request =>
            {
                _jobs.Remove(request, out var job);
                Finished(job!, request, _clock.Seconds);
            },
        };
    }

    /// <summary>Its KV cache.</summary>
    public KvBooks Books { get; }

    /// <summary>When the running steps end; infinite while idle.</summary>
    public double NextSeconds { get; private set; } = double.PositiveInfinity;

    public Action<Job, VirtualRequest, double> FirstToken { private get; init; } = static (_, _, _) => { };

    public Action<Job, VirtualRequest, double> Finished { private get; init; } = static (_, _, _) => { };

    /// <summary>Whether a prompt fits at all.</summary>
    public bool CanEver(int promptTokens) => promptTokens < Books.ContextTokens;

    public void Enqueue(Job job, ImmutableArray<int> prompt, int outputToken, double now)
    {
        var isIdle = double.IsPositiveInfinity(NextSeconds);
        if (!isIdle) Cut(now);
        _jobs.Add(_engine.Submit(new GenerationRequest { Prompt = prompt, MaxTokens = job.Request.OutputTokens }, outputToken), job);
        if (isIdle) Begin(now);
    }

    /// <summary>Ends the running steps and begins the next.</summary>
    public void Advance()
    {
        var now = _clock.Seconds = NextSeconds;
        _engine.Repeat(_ends.Count - 1);
        _engine.End();
        Begin(now);
    }

    /// <summary>Looks again at who waits: of a shared cache, another worker may have computed what they wait for.</summary>
    public void Wake(double now)
    {
        if (double.IsPositiveInfinity(NextSeconds) && _engine.Waiting > 0) Begin(now);
    }

    private void Begin(double now)
    {
        _clock.Seconds = now;
        _ends.Clear();
        if (_engine.Begin() is not { } work)
        {
            NextSeconds = double.PositiveInfinity;
            return;
        }
        for (var i = 0; i <= Math.Min(work.Repeats, _mostRepeats); i++)
        {
            now += _speed.StepSeconds(work.PromptTokens, work.AttentionPairs, work.Decodes, work.ContextTokens + ((long)i * work.Decodes));
            _ends.Add(now);
        }
        NextSeconds = now;
    }

    /// <summary>Of the steps taken together, only the one that runs now is still to end: then who comes is looked at.</summary>
    private void Cut(double now)
    {
        var passed = 0;
        while (passed < _ends.Count - 1 && _ends[passed] <= now) passed++;
        _engine.Repeat(passed);
        NextSeconds = _ends[passed];
        _ends.Clear();
        _ends.Add(NextSeconds);
    }
}

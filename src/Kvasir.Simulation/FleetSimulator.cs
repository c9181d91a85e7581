using System.Collections.Immutable;
using Kvasir.Engine.KvCache;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Index;
using Kvasir.Gateway.Policies;
using Kvasir.Protocol.KvEvents;
using Kvasir.Simulation.Traces;
using Kvasir.Simulation.Workers;

namespace Kvasir.Simulation;

/// <summary>
/// Sends a trace through the gateway's policy, index and load accounting to workers that run the engine's scheduler and KV
/// cache, on a virtual clock. What the policy sees is what the gateway would know: the events that the caches publish,
/// what it sent, and rates it measured.
/// </summary>
public sealed class FleetSimulator
{
    private const long TicksPerSecond = 1_000_000, RecentTicks = 30 * TicksPerSecond;
    private const string OracleName = "(infinite cache)";
    private const double FetchRate = 100_000;

    /// <summary>Tokens of a cache at most, that without bounds too: as ids they take 2 GiB.</summary>
    private const int MostTokens = 1 << 29;

    private readonly FleetScenario _scenario;
    private readonly Trace _trace;
    private readonly IRoutingPolicy _policy;
    private readonly VirtualClock _clock = new();
    private readonly ClockedWorker[] _workers;
    private readonly WorkerLoad[] _loads;
    private readonly PrefillRate[] _rates;
    private readonly EventIndex _index;
    private readonly RoutedIndex _recent;
    private readonly PriorityQueue<int, double> _agenda = new();
    private readonly Candidate[] _candidates;
    private readonly int[] _held, _sent;
    private readonly Random _random;
    private readonly SimulationTally _tally;
    private ulong[] _chain = new ulong[256];
    private long _turn;

    private FleetSimulator(Trace trace, FleetScenario scenario, IRoutingPolicy policy, int mostRepeats)
    {
        (_trace, _scenario, _policy) = (trace, scenario, policy);
        var count = scenario.Workers.Length;
        _index = new EventIndex(trace.BlockTokens, count);
        _recent = new RoutedIndex(count, 1 << 14, RecentTicks);
        (_candidates, _held, _sent) = (new Candidate[count], new int[count * Enum.GetValues<KvTier>().Length], new int[count]);
        _loads = [.. scenario.Workers.Select(_ => new WorkerLoad())];
        _rates = [.. scenario.Workers.Select(_ => new PrefillRate())];
        _random = new Random(scenario.Seed);
        _tally = new SimulationTally(count);
        var shared = scenario.InfiniteCache ? new KvBooks(MostEver(trace), trace.BlockTokens, EvictionKind.Lru, _clock, batch => Hear(0, batch)) : null;
        _workers = [.. scenario.Workers.Select((speed, number) => Create(speed, number, shared, mostRepeats))];
    }

    /// <summary>Runs the trace under a policy.</summary>
    public static PolicyFigures Run(Trace trace, FleetScenario scenario, IRoutingPolicy policy) => Run(trace, scenario, policy, int.MaxValue);

    /// <summary>Runs the trace under several policies and with a cache without bounds, as many at a time as there are processors.</summary>
    public static (ImmutableArray<PolicyFigures> Policies, PolicyFigures Oracle) RunAll(Trace trace, FleetScenario scenario, ImmutableArray<IRoutingPolicy> policies)
    {
        var all = ParallelRuns.Of([() => RunOracle(trace, scenario), .. policies.Select(policy => (Func<PolicyFigures>)(() => Run(trace, scenario, policy)))]);
        return (all[1..], all[0]);
    }

    /// <summary>What no policy can beat: workers that share one cache in which everything stays, so that only queues matter.</summary>
    public static PolicyFigures RunOracle(Trace trace, FleetScenario scenario) =>
        Run(trace, scenario with { InfiniteCache = true }, new SecondsPolicy()) with { Policy = OracleName };

    /// <summary>Runs the trace, with a bound on the steps that are taken together.</summary>
    internal static PolicyFigures Run(Trace trace, FleetScenario scenario, IRoutingPolicy policy, int mostRepeats) =>
        new FleetSimulator(trace, scenario, policy, mostRepeats).Run();

    private ClockedWorker Create(WorkerSpeed speed, int number, KvBooks? shared, int mostRepeats)
    {
        var books = shared ?? new KvBooks((int)Math.Clamp(speed.CapacityTokens / _trace.BlockTokens, 1, MostTokens / _trace.BlockTokens), _trace.BlockTokens, _scenario.Eviction, _clock, batch => Hear(number, batch));
        return new ClockedWorker(speed, books, _clock, mostRepeats)
        {
            FirstToken = (job, request, now) =>
            {
                job.FirstTokenSeconds = now;
                if (job.Lease.FirstToken(now)) _rates[number].Observe(job.Lease.TokensAhead, now - job.SentSeconds);
                _tally.FirstToken(request, now - job.SentSeconds);
            },
            Finished = (job, request, now) =>
            {
                job.Lease.Dispose();
                _tally.Finished(job, request, now);
            },
        };
    }

    private void Hear(int worker, KvEventBatch batch)
    {
        foreach (var change in batch.Events) _index.Apply(worker, change);
    }

    private double Arrival(TraceRequest request) => request.ArrivalSeconds / _scenario.ArrivalFactor;

    private PolicyFigures Run()
    {
        for (var number = 0; number < _trace.Requests.Length; number++)
        {
            var request = _trace.Requests[number];
            AdvanceTo(Arrival(request));
            if (_workers.All(worker => worker.CanEver(request.PromptTokens))) Send(request, number, Arrival(request));
        }
        AdvanceTo(double.PositiveInfinity);
        return _tally.Figures(_policy.Name, Arrival(_trace.Requests[0]));
    }

    private void AdvanceTo(double now)
    {
        while (_agenda.TryPeek(out var number, out var time) && time <= now)
        {
            _agenda.Dequeue();
            // Entries of runs that were cut short are old.
            if (_workers[number].NextSeconds != time) continue;
            _workers[number].Advance();
            Schedule(number);
            if (_scenario.InfiniteCache) WakeOthers(number, time);
        }
    }

    private void WakeOthers(int number, double now)
    {
        for (var other = 0; other < _workers.Length; other++)
        {
            if (other == number || !double.IsPositiveInfinity(_workers[other].NextSeconds)) continue;
            _workers[other].Wake(now);
            Schedule(other);
        }
    }

    private void Schedule(int number)
    {
        if (!double.IsPositiveInfinity(_workers[number].NextSeconds)) _agenda.Enqueue(number, _workers[number].NextSeconds);
    }

    private void Send(TraceRequest request, int number, double now)
    {
        var ticks = (long)(now * TicksPerSecond);
        var prompt = TracePrompt.Of(request, number, _trace.BlockTokens);
        if (_chain.Length < request.Blocks.Length) _chain = new ulong[request.Blocks.Length * 2];
        var chain = _chain.AsSpan(0, _index.Name(prompt.AsSpan(0, request.Blocks.Length * _trace.BlockTokens), _chain));
        _index.Match(chain, _held);
        _recent.Match(chain, ticks, _sent);
        var mean = _rates.Where(rate => rate.IsMeasured).Select(rate => rate.Value()).DefaultIfEmpty(PrefillRate.Prior).Average();
        for (var i = 0; i < _workers.Length; i++) _candidates[i] = Look(i, request, mean, now);
        var chosen = _policy.Choose(new RoutingSnapshot
        {
            PromptTokens = request.PromptTokens,
            Candidates = _candidates,
            Turn = _turn++,
            Draw = (ulong)_random.NextInt64(),
            SessionKey = request.Session,
            PrefixKey = request.Blocks.Length > 1 ? request.Blocks[1] : request.Blocks.Length > 0 ? request.Blocks[0] : (ulong)number,
        });
        _recent.Note(chosen, chain, ticks);
        var lease = _loads[chosen].Begin(request.PromptTokens, (int)Math.Max(1, request.PromptTokens - _candidates[chosen].CachedTokens), now, _candidates[chosen].PrefillRate);
        _tally.Sent(chosen);
        _workers[chosen].Enqueue(new Job(request, lease, now), prompt, TracePrompt.Own(number), now);
        Schedule(chosen);
    }

    private Candidate Look(int number, TraceRequest request, double meanRate, double now)
    {
        var rate = Rate(number, meanRate);
        return new Candidate
        {
            Worker = number,
            CachedTokens = Math.Min(request.PromptTokens - 1, Math.Max(Held(number), _sent[number]) * _trace.BlockTokens),
            InFlight = _loads[number].InFlight,
            PendingTokens = _loads[number].RemainingTokens(now, rate),
            RecentTokens = _loads[number].RecentTokens(now),
            RecentCachedTokens = _loads[number].RecentCachedTokens(now),
            Decoding = _loads[number].Decoding,
            DecodingTokens = _loads[number].DecodingTokens,
            KvUsedRatio = _workers[number].Books.Pool is var pool ? 1 - ((double)pool.Free / pool.Capacity) : 0,
            PrefillRate = rate,
            FetchRate = FetchRate,
            Warmth = 1,
        };
    }

    /// <summary>Blocks of the prompt that a worker has by its events; of a shared cache the first worker tells for all.</summary>
    private int Held(int number) => _held[_index.HolderOf(_scenario.InfiniteCache ? 0 : number, KvTier.Device)];

    /// <summary>What the gateway believes: measured rates, wrong by the scenario's factor.</summary>
    private double Rate(int number, double meanRate) => _rates[number].Value(meanRate) * _scenario.RateError;

    /// <summary>Blocks that a trace takes if nothing is shared and nothing gives way.</summary>
    private static int MostEver(Trace trace) =>
        (int)Math.Min(MostTokens / trace.BlockTokens, trace.Requests.Sum(request => ((request.PromptTokens + (long)request.OutputTokens) / trace.BlockTokens) + 2));
}

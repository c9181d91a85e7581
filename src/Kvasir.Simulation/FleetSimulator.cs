using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Index;
using Kvasir.Gateway.Policies;
using Kvasir.Simulation.Traces;
using Kvasir.Simulation.Workers;

namespace Kvasir.Simulation;

/// <summary>
/// Sends a trace through the gateway's policy, index and load accounting to simulated workers, on a virtual clock. What
/// the policy sees is what the gateway would know: events of the caches, what it sent, and rates it measured.
/// </summary>
public sealed class FleetSimulator
{
    private const long TicksPerSecond = 1_000_000, RecentTicks = 30 * TicksPerSecond;
    private const string OracleName = "(infinite cache)";
    private const double FetchRate = 100_000;

    private readonly FleetScenario _scenario;
    private readonly Trace _trace;
    private readonly IRoutingPolicy _policy;
    private readonly SimulatedWorker[] _workers;
    private readonly WorkerLoad[] _loads;
    private readonly PrefillRate[] _rates;
    private readonly PrefixTable _exact;
    private readonly RoutedIndex _recent;
    private readonly PriorityQueue<int, double> _agenda = new();
    private readonly Candidate[] _candidates;
    private readonly int[] _held, _sent;
    private readonly ulong[] _chain = new ulong[1 << 15];
    private readonly Random _random;
    private readonly SimulationTally _tally;
    private long _turn;

    private FleetSimulator(Trace trace, FleetScenario scenario, IRoutingPolicy policy)
    {
        (_trace, _scenario, _policy) = (trace, scenario, policy);
        var count = scenario.Workers.Length;
        _exact = new PrefixTable(count);
        _recent = new RoutedIndex(count, 1 << 14, RecentTicks);
        (_candidates, _held, _sent) = (new Candidate[count], new int[count], new int[count]);
        _loads = [.. scenario.Workers.Select(_ => new WorkerLoad())];
        _rates = [.. scenario.Workers.Select(_ => new PrefillRate())];
        _random = new Random(scenario.Seed);
        _tally = new SimulationTally(count);
        var shared = scenario.InfiniteCache ? new SimulatedCache(int.MaxValue) : null;
        _workers = [.. scenario.Workers.Select((speed, number) => Create(speed, number, shared))];
        if (shared is not null) shared.Changed = (block, _) =>
        {
            for (var number = 0; number < count; number++) _exact.Add(block, number);
        };
    }

    /// <summary>Runs the trace under a policy.</summary>
    public static PolicyFigures Run(Trace trace, FleetScenario scenario, IRoutingPolicy policy) =>
        new FleetSimulator(trace, scenario, policy).Run();

    /// <summary>What no policy can beat: workers that share one cache without bounds, so that only queues matter.</summary>
    public static PolicyFigures RunOracle(Trace trace, FleetScenario scenario) =>
        Run(trace, scenario with { InfiniteCache = true }, new SecondsPolicy()) with { Policy = OracleName };

    private SimulatedWorker Create(WorkerSpeed speed, int number, SimulatedCache? shared)
    {
        var worker = new SimulatedWorker(speed, _trace.BlockTokens, shared)
        {
            FirstToken = (job, now) =>
            {
                job.FirstTokenSeconds = now;
                if (job.Lease!.FirstToken(now)) _rates[number].Observe(job.Lease.TokensAhead, now - job.SentSeconds);
                _tally.FirstToken(job, now - Arrival(job.Request));
            },
            Finished = (job, now) =>
            {
                job.Lease!.Dispose();
                _tally.Finished(job, now);
            },
        };
        worker.Cache.Changed = (block, came) =>
        {
            if (came) _exact.Add(block, number);
            else _exact.Remove(block, number);
        };
        return worker;
    }

    private double Arrival(TraceRequest request) => request.ArrivalSeconds / _scenario.ArrivalFactor;

    private PolicyFigures Run()
    {
        var number = 0;
        foreach (var request in _trace.Requests)
        {
            var now = Arrival(request);
            AdvanceTo(now);
            if (_workers.Any(worker => worker.CanEver(request))) Send(new Job(request, number), now);
            number++;
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
            if (_workers[number].NextSeconds != time || double.IsPositiveInfinity(time)) continue;
            _workers[number].Advance();
            Schedule(number);
        }
    }

    private void Schedule(int number)
    {
        if (!double.IsPositiveInfinity(_workers[number].NextSeconds)) _agenda.Enqueue(number, _workers[number].NextSeconds);
    }

    private void Send(Job job, double now)
    {
        var request = job.Request;
        var ticks = (long)(now * TicksPerSecond);
        var chain = _chain.AsSpan(0, Math.Min(request.Blocks.Length, _chain.Length));
        request.Blocks.AsSpan(0, chain.Length).CopyTo(chain);
        _exact.Match(chain, _held);
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
            PrefixKey = request.Blocks.Length > 1 ? request.Blocks[1] : request.Blocks.Length > 0 ? request.Blocks[0] : (ulong)job.Number,
        });
        _recent.Note(chosen, chain, ticks);
        job.SentSeconds = now;
        job.Lease = _loads[chosen].Begin(request.PromptTokens, (int)Math.Max(1, request.PromptTokens - _candidates[chosen].CachedTokens), now, _candidates[chosen].PrefillRate);
        _tally.Sent(chosen);
        _workers[chosen].Enqueue(job, now);
        Schedule(chosen);
    }

    private Candidate Look(int number, TraceRequest request, double meanRate, double now)
    {
        var rate = Rate(number, meanRate);
        return new Candidate
        {
            Worker = number,
            CachedTokens = Math.Min(request.PromptTokens - 1, Math.Max(_held[number], _sent[number]) * _trace.BlockTokens),
            InFlight = _loads[number].InFlight,
            PendingTokens = _loads[number].RemainingTokens(now, rate),
            RecentTokens = _loads[number].RecentTokens(now),
            RecentCachedTokens = _loads[number].RecentCachedTokens(now),
            Decoding = _loads[number].Decoding,
            DecodingTokens = _loads[number].DecodingTokens,
            KvUsedRatio = _workers[number].Cache.UsedRatio,
            PrefillRate = rate,
            FetchRate = FetchRate,
            Warmth = 1,
        };
    }

    /// <summary>What the gateway believes: measured rates, wrong by the scenario's factor.</summary>
    private double Rate(int number, double meanRate) => _rates[number].Value(meanRate) * _scenario.RateError;
}

using System.Buffers;
using System.Collections.Immutable;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Policies;
using Kvasir.Gateway.Requests;

namespace Kvasir.Gateway.Routing;

/// <summary>Decides which worker takes a request, and remembers why.</summary>
public sealed class Router(WorkerFleet fleet, CacheView caches, DecisionLog log, TimeProvider time, Random random)
{
    private const int PrefixKeyTokens = 256;
    private const int MostReceipts = 8;
    private const double FetchRate = 100_000;
    private readonly Lock _lock = new();
    private long _turn;

    /// <summary>The policy that decides.</summary>
    public IRoutingPolicy Policy { get; set; } = PolicyCatalog.Find(PolicyCatalog.Default)!;

    /// <summary>Policies that are asked on every request but do not act.</summary>
    public ImmutableArray<IRoutingPolicy> Shadows { get; set; } = [];

    /// <summary>Time to first token to keep, in seconds, or null for the least.</summary>
    public double? GoalSeconds { get; set; }

    /// <summary>A decision and its receipt.</summary>
    /// <param name="Worker">Who takes the request.</param>
    /// <param name="PredictedTokens">Tokens that its sources say it holds, before trust.</param>
    /// <param name="UncachedTokens">Tokens that it probably has to compute.</param>
    /// <param name="FromEvents">Whether the worker's events answered for the prompt.</param>
    /// <param name="Receipt">Why.</param>
    public sealed record Decided(Worker Worker, double PredictedTokens, double UncachedTokens, bool FromEvents, DecisionReceipt Receipt);

    /// <summary>Chooses a worker, or null where none takes requests for the model.</summary>
    /// <param name="id">The request's id.</param>
    /// <param name="model">The asked model.</param>
    /// <param name="prompt">The prompt.</param>
    /// <param name="session">Names the conversation, or zero.</param>
    /// <param name="tried">Workers that failed this request.</param>
    /// <param name="home">The worker that keeps what the request is about, which takes it if it can; or null.</param>
    public Decided? Decide(string id, string? model, PromptTokens prompt, ulong session, List<Worker> tried, Worker? home = null)
    {
        var capacity = fleet.Capacity;
        var workers = ArrayPool<Worker>.Shared.Rent(capacity);
        var candidates = ArrayPool<Candidate>.Shared.Rent(capacity);
        var tokens = ArrayPool<double>.Shared.Rent(2 * capacity);
        try
        {
            var count = 0;
            if (home is { TakesRequests: true } && home.Serves(model) && !tried.Contains(home)) workers[count++] = home;
            else foreach (var worker in fleet.Workers)
                if (worker.TakesRequests && worker.Serves(model) && !tried.Contains(worker)) workers[count++] = worker;
            return count == 0 ? null : Choose(id, model, prompt, session, tried.Count + 1, workers.AsSpan(0, count), candidates.AsSpan(0, count),
                tokens.AsSpan(0, capacity), tokens.AsSpan(capacity, capacity));
        }
        finally
        {
            ArrayPool<Worker>.Shared.Return(workers, clearArray: true);
            ArrayPool<Candidate>.Shared.Return(candidates);
            ArrayPool<double>.Shared.Return(tokens);
        }
    }

    private Decided Choose(string id, string? model, PromptTokens prompt, ulong session, int attempt,
        ReadOnlySpan<Worker> workers, Span<Candidate> candidates, Span<double> cached, Span<double> slower)
    {
        caches.Predict(prompt, workers, cached, slower);
        var meanRate = fleet.MeanRate();
        var now = time.GetTimestamp() / (double)time.TimestampFrequency;
        for (var i = 0; i < workers.Length; i++)
            candidates[i] = Look(workers[i], cached[workers[i].Number], slower[workers[i].Number], workers[i].Rate.Value(meanRate, now), now);
        ulong draw;
        long turn;
        lock (_lock) (draw, turn) = ((ulong)random.NextInt64(), _turn++);
        var snapshot = new RoutingSnapshot
        {
            PromptTokens = prompt.Count,
            Candidates = candidates,
            GoalSeconds = GoalSeconds ?? 0,
            Turn = turn,
            Draw = draw,
            SessionKey = session,
            PrefixKey = XxHash64.HashToUInt64(MemoryMarshal.AsBytes(prompt.Ids.AsSpan(0, Math.Min(PrefixKeyTokens, prompt.Ids.Length)))),
        };
        var chosen = Policy.Choose(snapshot);
        var worker = workers[chosen];
        var receipt = new DecisionReceipt
        {
            Request = id,
            Time = time.GetUtcNow(),
            Policy = Policy.Name,
            Model = model,
            PromptTokens = Math.Round(prompt.Count),
            Tokenized = prompt.AreTokens,
            Candidates = Receipts(workers, candidates, prompt),
            CandidateCount = candidates.Length,
            Chosen = worker.Address.Name,
            ChosenSeconds = Math.Round(SecondsPolicy.Seconds(candidates[chosen], prompt.Count), 6),
            PredictedCachedTokens = Math.Round(cached[worker.Number]),
            Shadows = Ask(snapshot, workers),
            Attempt = attempt,
        };
        log.Add(receipt);
        return new Decided(worker, cached[worker.Number], Math.Max(1, prompt.Count - candidates[chosen].CachedTokens), caches.IsExact(worker, prompt), receipt);
    }

    private ImmutableArray<ShadowChoice> Ask(in RoutingSnapshot snapshot, ReadOnlySpan<Worker> workers)
    {
        if (Shadows.IsEmpty) return [];
        var choices = ImmutableArray.CreateBuilder<ShadowChoice>(Shadows.Length);
        foreach (var shadow in Shadows)
        {
            var choice = shadow.Choose(snapshot);
            choices.Add(new ShadowChoice(shadow.Name, workers[choice].Address.Name, SecondsPolicy.Seconds(snapshot.Candidates[choice], snapshot.PromptTokens)));
        }
        return choices.MoveToImmutable();
    }

    /// <summary>The candidates with the fewest estimated seconds, best first: of a large fleet the others say little.</summary>
    private ImmutableArray<CandidateReceipt> Receipts(ReadOnlySpan<Worker> workers, ReadOnlySpan<Candidate> candidates, PromptTokens prompt)
    {
        Span<(double Seconds, int Index)> best = stackalloc (double, int)[MostReceipts + 1];
        var kept = 0;
        for (var i = 0; i < candidates.Length; i++)
        {
            var seconds = SecondsPolicy.Seconds(candidates[i], prompt.Count);
            var place = kept;
            for (; place > 0 && best[place - 1].Seconds > seconds; place--) best[place] = best[place - 1];
            best[place] = (seconds, i);
            if (kept < MostReceipts) kept++;
        }
        var receipts = new CandidateReceipt[kept];
        for (var i = 0; i < kept; i++)
        {
            var (worker, candidate) = (workers[best[i].Index], candidates[best[i].Index]);
            receipts[i] = new CandidateReceipt(worker.Address.Name, (float)Math.Round(candidate.CachedTokens), worker.Trust.State(prompt.AreTokens && caches.Events.Knows(worker)),
                candidate.InFlight, (float)Math.Round(candidate.PendingTokens), (float)Math.Round(best[i].Seconds, 6));
        }
        return ImmutableCollectionsMarshal.AsImmutableArray(receipts);
    }

    private static Candidate Look(Worker worker, double cachedTokens, double slowTokens, double rate, double now) => new()
    {
        Worker = worker.Number,
        CachedTokens = cachedTokens * worker.Trust.Factor,
        SlowCachedTokens = slowTokens * worker.Trust.Factor,
        InFlight = worker.Load.InFlight,
        OthersWaiting = worker.OthersWaiting,
        PendingTokens = worker.Load.RemainingTokens(now, rate),
        RecentTokens = worker.Load.RecentTokens(now),
        RecentCachedTokens = worker.Load.RecentCachedTokens(now),
        Decoding = worker.Load.Decoding,
        DecodingTokens = worker.Load.DecodingTokens,
        KvUsedRatio = worker.Reading.KvUsedRatio ?? 0,
        PrefillRate = rate,
        FetchRate = FetchRate,
        Warmth = worker.Warmth,
    };
}

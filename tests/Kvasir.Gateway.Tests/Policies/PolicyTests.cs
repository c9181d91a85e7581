using Kvasir.Gateway.Policies;

namespace Kvasir.Gateway.Tests.Policies;

public sealed class PolicyTests
{
    [Fact]
    public void Every_policy_is_a_pure_function_of_its_snapshot()
    {
        var random = new Random(1);
        foreach (var name in PolicyCatalog.Names)
            for (var i = 0; i < 200; i++)
            {
                var candidates = Enumerable.Range(0, random.Next(1, 20)).Select(worker => Any(random, worker)).ToArray();
                var snapshot = new RoutingSnapshot { PromptTokens = random.Next(1, 100_000), Candidates = candidates, Draw = (ulong)random.NextInt64(), Turn = i, SessionKey = (ulong)random.Next(3), PrefixKey = (ulong)random.Next() };
                var choice = PolicyCatalog.Find(name)!.Choose(snapshot);
                Assert.InRange(choice, 0, candidates.Length - 1);
                Assert.Equal(choice, PolicyCatalog.Find(name)!.Choose(snapshot));
            }
    }

    [Fact]
    public void The_default_goes_where_the_prompt_is_cached()
    {
        Candidate[] candidates = [Idle(0), Idle(1) with { CachedTokens = 9000 }, Idle(2)];
        Assert.Equal(1, Choose("kvasir", candidates, 10_000));
    }

    [Fact]
    public void The_default_leaves_a_cached_prompt_when_the_queue_there_costs_more()
    {
        Candidate[] candidates = [Idle(0), Idle(1) with { CachedTokens = 9000, PendingTokens = 50_000, InFlight = 5 }];
        Assert.Equal(0, Choose("kvasir", candidates, 10_000));
    }

    [Fact]
    public void Long_prompts_are_not_shed_for_good_by_a_worker_with_many_short_ones()
    {
        // Two long prompts in 15 s of queue, twenty short ones in 6 s.
        Candidate[] candidates = [Idle(0) with { PendingTokens = 150_000, InFlight = 2 }, Idle(1) with { PendingTokens = 60_000, InFlight = 20 }];
        Assert.Equal(1, Choose("kvasir", candidates, 10_000));
    }

    [Fact]
    public void The_default_counts_a_faster_worker_as_faster()
    {
        Candidate[] candidates = [Idle(0), Idle(1) with { PrefillRate = 20_000 }];
        Assert.Equal(1, Choose("kvasir", candidates, 10_000));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1.2, 0)]
    [InlineData(2, 1)]
    public void Within_a_goal_the_fleet_is_spared_and_beyond_it_the_request_hurries(double goalSeconds, int expected)
    {
        // One second to compute it all on a free worker; 1.7 s behind a queue, but a tenth of the work.
        Candidate[] candidates = [Idle(0), Idle(1) with { CachedTokens = 9000, PendingTokens = 16_000, InFlight = 1 }];
        Assert.Equal(expected, PolicyCatalog.Find("kvasir")!.Choose(new RoutingSnapshot { PromptTokens = 10_000, Candidates = candidates, Draw = 1, GoalSeconds = goalSeconds }));
    }

    [Fact]
    public void A_shared_beginning_is_copied_before_its_holder_does_most_of_the_work()
    {
        var holder = Idle(1) with { RecentTokens = 5000, RecentCachedTokens = 40_000, CachedTokens = 6000 };
        Candidate[] even = [Idle(0) with { RecentTokens = 5000 }, holder, Idle(2) with { RecentTokens = 5000 }];
        Assert.Equal(1, Choose("kvasir", even, 8000));
        Candidate[] uneven = [Idle(0) with { RecentTokens = 2000 }, holder with { RecentTokens = 12_000 }, Idle(2) with { RecentTokens = 1000 }];
        Assert.Equal(2, Choose("kvasir", uneven, 8000));
    }

    [Fact]
    public void Work_that_nothing_was_saved_of_attracts_no_copies()
    {
        Candidate[] uneven = [Idle(0) with { RecentTokens = 2000 }, Idle(1) with { RecentTokens = 12_000, CachedTokens = 6000 }, Idle(2) with { RecentTokens = 1000 }];
        Assert.Equal(1, Choose("kvasir", uneven, 8000));
    }

    [Fact]
    public void A_conversation_stays_at_the_busiest_worker_while_nearly_all_of_it_is_cached_there()
    {
        Candidate[] candidates = [Idle(0) with { RecentTokens = 2000 }, Idle(1) with { RecentTokens = 12_000, RecentCachedTokens = 40_000, CachedTokens = 19_500 }, Idle(2) with { RecentTokens = 1000 }];
        Assert.Equal(1, Choose("kvasir", candidates, 20_000));
    }

    [Fact]
    public void Where_requests_wait_a_prompt_keeps_to_its_cache()
    {
        // Half a second less until the first token elsewhere, for nine times the work.
        Candidate[] quiet = [Idle(0), Idle(1) with { CachedTokens = 9000, PendingTokens = 14_000, InFlight = 1 }];
        Assert.Equal(0, Choose("kvasir", quiet, 10_000));
        Candidate[] busy = [Idle(0) with { PendingTokens = 14_000, InFlight = 3 }, Idle(1) with { CachedTokens = 9000, PendingTokens = 28_000, InFlight = 4 }];
        Assert.Equal(1, Choose("kvasir", busy, 10_000));
    }

    [Theory]
    [InlineData(0.25)]
    [InlineData(4)]
    public void Rates_that_are_all_wrong_by_one_factor_change_no_choice(double factor)
    {
        var random = new Random(5);
        for (var i = 0; i < 200; i++)
        {
            var right = Enumerable.Range(0, 12).Select(worker => Any(random, worker) with { Decoding = random.Next(50), RecentTokens = random.Next(200_000), RecentCachedTokens = random.Next(200_000) }).ToArray();
            var wrong = right.Select(candidate => candidate with { PrefillRate = candidate.PrefillRate * factor }).ToArray();
            Assert.Equal(Choose("kvasir", right, 12_000), Choose("kvasir", wrong, 12_000));
        }
    }

    [Fact]
    public void Equal_workers_share_evenly()
    {
        var counts = new int[4];
        var candidates = Enumerable.Range(0, 4).Select(Idle).ToArray();
        var random = new Random(2);
        for (var i = 0; i < 4000; i++) counts[Choose("kvasir", candidates, 1000, (ulong)random.NextInt64())]++;
        Assert.All(counts, count => Assert.InRange(count, 800, 1200));
    }

    [Fact]
    public void A_session_stays_and_moves_only_when_its_worker_leaves()
    {
        var candidates = Enumerable.Range(0, 5).Select(Idle).ToArray();
        for (ulong session = 1; session < 50; session++)
        {
            var chosen = Pick(candidates, session);
            var without = candidates.Where(candidate => candidate.Worker != candidates[(chosen + 1) % 5].Worker).ToArray();
            Assert.Equal(candidates[chosen].Worker, without[Pick(without, session)].Worker);
        }

        static int Pick(Candidate[] candidates, ulong session) =>
            PolicyCatalog.Find("session")!.Choose(new RoutingSnapshot { PromptTokens = 1, Candidates = candidates, SessionKey = session });
    }

    [Fact]
    public void Consistent_hashing_passes_over_a_worker_above_its_bound()
    {
        var candidates = Enumerable.Range(0, 4).Select(Idle).ToArray();
        var wanted = PolicyCatalog.Find("consistent-hash")!.Choose(new RoutingSnapshot { PromptTokens = 1, Candidates = candidates, PrefixKey = 7 });
        candidates[wanted].InFlight = 10;
        Assert.NotEqual(wanted, PolicyCatalog.Find("consistent-hash")!.Choose(new RoutingSnapshot { PromptTokens = 1, Candidates = candidates, PrefixKey = 7 }));
    }

    private static int Choose(string policy, Candidate[] candidates, double tokens, ulong draw = 1) =>
        PolicyCatalog.Find(policy)!.Choose(new RoutingSnapshot { PromptTokens = tokens, Candidates = candidates, Draw = draw });

    private static Candidate Idle(int worker) => new() { Worker = worker, PrefillRate = 10_000, FetchRate = 100_000, Warmth = 1 };

    private static Candidate Any(Random random, int worker) => Idle(worker) with
    {
        CachedTokens = random.Next(10_000), InFlight = random.Next(100), PendingTokens = random.Next(100_000), RecentTokens = random.Next(100_000), KvUsedRatio = random.NextDouble(), Warmth = random.NextDouble(),
    };
}

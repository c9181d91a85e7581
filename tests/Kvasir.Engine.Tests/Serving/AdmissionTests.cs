namespace Kvasir.Engine.Tests.Serving;

/// <summary>Who runs when there is not room for all.</summary>
public sealed class AdmissionTests
{
    private static readonly EngineOptions OneAtATime = SteppedEngine.Roomy with { MaxSequences = 1 };

    [Fact]
    public async Task Lower_numbers_run_first()
    {
        await using var engine = new SteppedEngine(OneAtATime);
        engine.Submit(SteppedEngine.Ask(20, 8));
        engine.Step(2);
        var replies = new[] { 5, 0, 3 }.Select(priority => engine.Submit(SteppedEngine.Ask(20, 4, first: priority) with { Priority = priority })).ToArray();
        var order = Finished(engine, replies);
        Assert.Equal([1, 2, 0], order);
    }

    [Fact]
    public async Task One_that_runs_gives_way_to_a_lower_number_and_gets_the_same_text()
    {
        var (slow, urgent) = (SteppedEngine.Ask(20, 40) with { Priority = 1 }, SteppedEngine.Ask(20, 4, seed: 2, first: 9));
        await using var engine = new SteppedEngine(OneAtATime);
        var first = engine.Submit(slow);
        engine.Step(10);
        var second = engine.Submit(urgent);
        Assert.Equal([1, 0], Finished(engine, [first, second]));
        Assert.Equal(1, first.Stream.Usage.Preemptions);
        Assert.Equal(await SteppedEngine.Alone(OneAtATime, slow, urgent), [first.Text, second.Text]);
    }

    [Fact]
    public async Task Equal_numbers_never_make_each_other_give_way()
    {
        await using var engine = new SteppedEngine(OneAtATime);
        var first = engine.Submit(SteppedEngine.Ask(20, 40) with { Tenant = "a" });
        engine.Step(10);
        var second = engine.Submit(SteppedEngine.Ask(20, 4) with { Tenant = "b" });
        Assert.Equal([0, 1], Finished(engine, [first, second]));
        Assert.Equal(0, engine.State.Preemptions);
    }

    [Fact]
    public async Task A_tenant_with_many_requests_does_not_hold_up_one_with_few()
    {
        await using var engine = new SteppedEngine(OneAtATime);
        var heavy = Enumerable.Range(0, 20).Select(i => engine.Submit(SteppedEngine.Ask(20, 4, first: i) with { Tenant = "heavy" })).ToArray();
        engine.Step(12);
        var light = engine.Submit(SteppedEngine.Ask(20, 4, first: 50) with { Tenant = "light" });
        var done = heavy.Count(reply => reply.IsDone);
        while (!light.IsDone) engine.Step();
        Assert.InRange(heavy.Count(reply => reply.IsDone), done, done + 1);
        engine.Finish();
    }

    [Fact]
    public async Task Who_asks_for_one_thing_after_another_pays_as_if_all_had_come_at_once()
    {
        await using var engine = new SteppedEngine(OneAtATime with { PrefixCache = false });
        var backlog = Enumerable.Range(0, 40).Select(i => engine.Submit(SteppedEngine.Ask(10, 10, first: i) with { Tenant = "backlog" })).ToArray();
        var (heavy, done) = (engine.Submit(SteppedEngine.Ask(60, 20) with { Tenant = "heavy" }), 0);
        while (backlog.Count(reply => reply.IsDone) < 30)
        {
            engine.Step();
            if (!heavy.IsDone) continue;
            heavy = engine.Submit(SteppedEngine.Ask(60, 20, first: ++done) with { Tenant = "heavy" });
        }
        // A heavy one computes 79 tokens, one of the backlog 19: 30 of these are worth 7 of those.
        Assert.InRange(done, 6, 9);
    }

    [Fact]
    public async Task A_request_that_leaves_is_owed_no_room()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvTokens = 128, ContextTokens = 128, PrefixCache = false });
        var running = engine.Submit(SteppedEngine.Ask(64, 40));
        engine.Step(2);
        var urgent = engine.Submit(SteppedEngine.Ask(64, 40, first: 9) with { Priority = -1 });
        engine.Step();
        urgent.Leave();
        engine.Finish();
        Assert.Equal(0, running.Stream.Usage.Preemptions);
    }

    [Fact]
    public async Task Tenants_that_wait_get_equal_shares_of_tokens_however_long_their_requests_are()
    {
        await using var engine = new SteppedEngine(OneAtATime with { PrefixCache = false });
        var longer = Enumerable.Range(0, 40).Select(i => engine.Submit(SteppedEngine.Ask(60, 20, first: i) with { Tenant = "longer" })).ToArray();
        var shorter = Enumerable.Range(0, 160).Select(i => engine.Submit(SteppedEngine.Ask(10, 10, first: i) with { Tenant = "shorter" })).ToArray();
        while (longer.Count(reply => reply.IsDone) < 20) engine.Step();
        // A long one computes 79 tokens, a short one 19.
        Assert.InRange(shorter.Count(reply => reply.IsDone) * 19, (20 - 1) * 79, (20 + 1) * 79);
        engine.Finish();
    }

    [Fact]
    public async Task Who_was_away_is_owed_nothing()
    {
        await using var engine = new SteppedEngine(OneAtATime);
        for (var i = 0; i < 30; i++) engine.Submit(SteppedEngine.Ask(20, 4, first: i) with { Tenant = "busy" });
        engine.Step(80);
        var others = Enumerable.Range(0, 10).Select(i => engine.Submit(SteppedEngine.Ask(20, 4, first: i + 40) with { Tenant = "back" })).ToArray();
        var busy = engine.Submit(SteppedEngine.Ask(20, 4, first: 70) with { Tenant = "third" });
        while (!busy.IsDone) engine.Step();
        Assert.InRange(others.Count(reply => reply.IsDone), 0, 2);
        engine.Finish();
    }

    [Fact]
    public async Task A_tenant_holds_its_share_of_the_cache_while_others_are_there()
    {
        var options = SteppedEngine.Roomy with { KvTokens = 256, TenantKvShare = 0.5, PrefixCache = false };
        await using var engine = new SteppedEngine(options);
        var many = Enumerable.Range(0, 6).Select(i => engine.Submit(SteppedEngine.Ask(40, 8, first: i) with { Tenant = "many" })).ToArray();
        engine.Submit(SteppedEngine.Ask(40, 100, first: 30) with { Tenant = "other" });
        engine.Step(6);
        // Of 16 blocks eight, at three and soon four a request.
        Assert.Equal(2, many.Count(reply => reply.Tokens.Count > 0));
        engine.Finish();
        Assert.True(Array.TrueForAll(many, reply => reply.Tokens.Count == 8));

        await using var alone = new SteppedEngine(options);
        many = [.. Enumerable.Range(0, 4).Select(i => alone.Submit(SteppedEngine.Ask(40, 8, first: i) with { Tenant = "many" }))];
        alone.Step(8);
        Assert.True(Array.TrueForAll(many, reply => reply.Tokens.Count > 0));
        alone.Finish();
    }

    [Fact]
    public async Task Short_answers_teach_the_engine_to_run_more_together()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvTokens = 320, PrefixCache = false });
        Assert.InRange(MostTogether(engine), 1, 3);
        for (var round = 0; round < 6; round++) MostTogether(engine);
        Assert.InRange(MostTogether(engine), 5, 8);
        Assert.Equal(0, engine.State.Preemptions);
    }

    [Fact]
    public async Task Answers_of_full_length_teach_it_to_keep_room()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvTokens = 320, PrefixCache = false });
        var rounds = new List<long>();
        for (var round = 0; round < 8; round++)
        {
            var before = engine.State.Preemptions;
            for (var i = 0; i < 8; i++) engine.Submit(SteppedEngine.Ask(20, 100, seed: (ulong)i, first: i));
            engine.Finish();
            rounds.Add(engine.State.Preemptions - before);
        }
        Assert.True(rounds[0] > 0, string.Join(' ', rounds));
        Assert.Equal([0, 0, 0], rounds[^3..]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1.1)]
    [InlineData(double.NaN)]
    public void A_share_that_is_none_is_refused(double share) =>
        Assert.Contains("tenant's share", new EngineOptions { TenantKvShare = share }.Problem(), StringComparison.Ordinal);

    /// <summary>Eight requests that may write 200 tokens and write some eight.</summary>
    private static int MostTogether(SteppedEngine engine)
    {
        for (var i = 0; i < 8; i++) engine.Submit(SteppedEngine.Ask(20, 200, seed: (ulong)i, first: i) with { StopTokens = [.. Enumerable.Range(0, 40)] });
        var most = 0;
        while (engine.State.Running + engine.State.Waiting > 0)
        {
            engine.Step();
            most = Math.Max(most, engine.State.Running);
        }
        return most;
    }

    private static int[] Finished(SteppedEngine engine, Reply[] replies)
    {
        var order = new List<int>();
        while (order.Count < replies.Length)
        {
            engine.Step();
            for (var i = 0; i < replies.Length; i++)
                if (replies[i].IsDone && !order.Contains(i)) order.Add(i);
        }
        return [.. order];
    }
}

namespace Kvasir.Engine.Tests.Serving;

/// <summary>Who runs in which step.</summary>
public sealed class SchedulingTests
{
    [Fact]
    public async Task A_request_that_never_fits_the_KV_cache_is_refused_at_once_with_the_numbers()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvTokens = 128 });
        var refused = Assert.Throws<RequestException>(() => engine.Submit(SteppedEngine.Ask(prompt: 128, tokens: 5)));
        Assert.Equal(RefusalKind.ExceedsKvCache, refused.Kind);
        Assert.Equal("The prompt has 128 tokens, but the KV cache holds 128 in all (256 B each). Shorten it, or raise --memory.", refused.Message);
        Assert.Equal((0, 0), (engine.State.Waiting, engine.State.KvBlocksUsed));
    }

    [Fact]
    public async Task A_request_beyond_the_context_is_refused_at_once_with_the_numbers()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        var refused = Assert.Throws<RequestException>(() => engine.Submit(SteppedEngine.Ask(prompt: 256, tokens: 1)));
        Assert.Equal(RefusalKind.ExceedsContext, refused.Kind);
        Assert.Equal("The prompt has 256 tokens, but the context is 256. Shorten it, or raise --context (the model was trained for 512).", refused.Message);
        // Scoring a prompt needs no further place.
        engine.Submit(SteppedEngine.Ask(prompt: 256, tokens: 0));
        engine.Finish();
    }

    [Fact]
    public async Task A_request_that_finds_no_room_waits_and_then_runs()
    {
        var options = SteppedEngine.Roomy with { KvTokens = 128 };
        var (large, next) = (SteppedEngine.Ask(prompt: 100, tokens: 20, seed: 1), SteppedEngine.Ask(prompt: 60, tokens: 8, seed: 2, first: 150));
        await using var engine = new SteppedEngine(options);
        var first = engine.Submit(large);
        var second = engine.Submit(next);
        engine.Step(10);
        Assert.Equal((1, 1), (engine.State.Running, engine.State.Waiting));
        Assert.Empty(second.Tokens);
        engine.Finish();
        Assert.Equal(0, engine.State.Preemptions);
        Assert.Equal(await SteppedEngine.Alone(options, large, next), [first.Text, second.Text]);
    }

    [Fact]
    public async Task A_full_queue_refuses_with_the_numbers()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { MaxSequences = 1, MaxQueue = 2 });
        for (var i = 0; i < 3; i++) engine.Submit(SteppedEngine.Ask(prompt: 20, tokens: 4, first: 30 * i));
        var refused = Assert.Throws<RequestException>(() => engine.Submit(SteppedEngine.Ask(prompt: 20, tokens: 4)));
        Assert.Equal((RefusalKind.QueueFull, "3 requests are waiting and the queue holds 2. Try again later, or raise --max-queue."), (refused.Kind, refused.Message));
        engine.Finish();
        engine.Submit(SteppedEngine.Ask(prompt: 20, tokens: 4));
        engine.Finish();
    }

    [Fact]
    public async Task Under_pressure_the_youngest_gives_way_and_resumes_with_the_same_text()
    {
        // Half of what they may write is expected of them, and there is just room for that.
        var options = SteppedEngine.Roomy with { KvTokens = 240, PrefixCache = false };
        GenerationRequest[] requests = [.. Enumerable.Range(0, 3).Select(i => SteppedEngine.Ask(prompt: 40, tokens: 50, seed: 10 + (ulong)i, first: 60 * i))];
        await using var engine = new SteppedEngine(options);
        Reply[] replies = [.. requests.Select(engine.Submit)];
        while (engine.State.Preemptions == 0) engine.Step();
        Assert.Equal((2, 1), (engine.State.Running, engine.State.Waiting));
        var got = replies[2].Tokens.Count;
        engine.Step(5);
        Assert.Equal(got, replies[2].Tokens.Count);
        engine.Finish();
        Assert.Equal([0, 0], replies[..2].Select(reply => reply.Stream.Usage.Preemptions));
        Assert.InRange(replies[2].Stream.Usage.Preemptions, 1, 3);
        Assert.Equal(await SteppedEngine.Alone(options, requests), [.. replies.Select(reply => reply.Text)]);
        Assert.Equal(0, engine.State.KvBlocksUsed);
    }

    [Fact]
    public async Task A_long_prompt_never_holds_running_streams_up_for_more_than_a_chunk()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        Reply[] streams = [.. Enumerable.Range(0, 3).Select(i => engine.Submit(SteppedEngine.Ask(prompt: 10, tokens: 100, seed: 1 + (ulong)i, first: 40 * i)))];
        engine.Step(4);
        var late = engine.Submit(SteppedEngine.Ask(prompt: 250, tokens: 3, seed: 9, first: 50));
        for (var steps = 1; late.Tokens.Count == 0; steps++)
        {
            var (computed, had) = (engine.State.PromptTokens, streams.Select(stream => stream.Tokens.Count).ToArray());
            engine.Step();
            Assert.Equal(had.Select(count => count + 1), streams.Select(stream => stream.Tokens.Count));
            Assert.InRange(engine.State.PromptTokens - computed, 1, 16);
            Assert.InRange(steps, 1, (250 + 15) / 16);
        }
    }

    [Fact]
    public async Task A_seed_gives_the_same_text_whatever_else_is_in_the_batch()
    {
        var request = SteppedEngine.Ask(prompt: 30, tokens: 30, seed: 77);
        var alone = (await SteppedEngine.Alone(SteppedEngine.Roomy, request))[0];
        for (var others = 1; others <= 7; others += 3)
        {
            await using var engine = new SteppedEngine(SteppedEngine.Roomy);
            for (var i = 0; i < others; i++)
            {
                engine.Submit(SteppedEngine.Ask(prompt: 5 + 11 * i, tokens: 9 * i, seed: 1000 + (ulong)i, first: 13 * i));
                engine.Step();
            }
            var reply = engine.Submit(request);
            engine.Finish();
            Assert.Equal(alone, reply.Text);
        }
        // And the seed decides.
        Assert.NotEqual(alone, (await SteppedEngine.Alone(SteppedEngine.Roomy, request with { Sampling = new() { Seed = 78 } }))[0]);
    }
}

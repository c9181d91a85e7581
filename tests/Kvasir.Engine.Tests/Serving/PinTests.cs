using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>Pins, hints and deletion in an engine.</summary>
public sealed class PinTests
{
    private static readonly EngineOptions Small = SteppedEngine.Roomy with { KvTokens = 128, ContextTokens = 128 };

    [Fact]
    public async Task A_pinned_prefix_survives_a_flood()
    {
        await using var engine = new SteppedEngine(Small);
        var outcome = await Ask(engine, engine.Engine.PinAsync(Prompt(50)));
        Assert.Equal((48, 50, null), (outcome.Pin.Tokens, outcome.ComputedTokens, outcome.Pin.SecondsLeft));
        for (var i = 0; i < 6; i++) Run(engine, SteppedEngine.Ask(60, 2, first: 20 + i));
        Assert.Equal(3, engine.State.KvBlocksPinned);
        Assert.Equal(48, Run(engine, SteppedEngine.Ask(50, 2)).Usage.CachedTokens);
        Assert.True(await Ask(engine, engine.Engine.UnpinAsync(outcome.Pin.Id)));
        Assert.False(await Ask(engine, engine.Engine.UnpinAsync(outcome.Pin.Id)));
        Assert.Equal((0, 0), (engine.State.KvBlocksPinned, engine.State.KvBlocksUsed));
    }

    [Fact]
    public async Task Pins_yield_to_a_request_that_could_not_run_otherwise()
    {
        await using var engine = new SteppedEngine(Small);
        await Ask(engine, engine.Engine.PinAsync(Prompt(50)));
        Assert.Equal(FinishReason.Length, Run(engine, SteppedEngine.Ask(100, 28, first: 30)).FinishReason);
        Assert.Equal((1, 0), (engine.State.BrokenPins, engine.State.KvBlocksPinned));
    }

    [Fact]
    public async Task More_than_the_share_is_refused_with_the_numbers()
    {
        await using var engine = new SteppedEngine(Small);
        await Ask(engine, engine.Engine.PinAsync(Prompt(50)));
        var error = await Assert.ThrowsAsync<RequestException>(() => Ask(engine, engine.Engine.PinAsync(Prompt(40, 30))));
        Assert.Equal(RefusalKind.ExceedsPinShare, error.Kind);
        Assert.Contains("Pins would hold 5 blocks", error.Message, StringComparison.Ordinal);
        Assert.Contains("may hold 4", error.Message, StringComparison.Ordinal);
        // What is pinned already takes no further room.
        Assert.Equal(0, (await Ask(engine, engine.Engine.PinAsync(Prompt(64)))).ComputedTokens / 64);
        Assert.Equal(4, engine.State.KvBlocksPinned);
        Assert.Equal(RefusalKind.Invalid, (await Assert.ThrowsAsync<RequestException>(() => engine.Engine.PinAsync(Prompt(15)))).Kind);
    }

    [Fact]
    public async Task A_pin_ends_with_its_time()
    {
        await using var engine = new SteppedEngine(Small);
        var pin = (await Ask(engine, engine.Engine.PinAsync(Prompt(50), time: TimeSpan.FromMilliseconds(1)))).Pin;
        Assert.NotNull(pin.SecondsLeft);
        Assert.True(SpinWait.SpinUntil(() =>
        {
            engine.Step();
            return engine.State.KvBlocksPinned == 0;
        }, TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task Cached_texts_are_told_as_trees()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        Run(engine, SteppedEngine.Ask(96, 0) with { Prompt = [.. Prompt(48), .. Prompt(48, 100)] });
        Run(engine, SteppedEngine.Ask(96, 0) with { Prompt = [.. Prompt(48), .. Prompt(32, 200)] });
        Run(engine, SteppedEngine.Ask(32, 0) with { CacheSalt = "a" });
        var listing = await Ask(engine, engine.Engine.CachedAsync());
        Assert.Equal([16 + 16, 32, 48, 48], listing.Prefixes.Select(node => node.Tokens).Order());
        var start = listing.Prefixes.Single(node => node.Tokens == 48 && node.TokensBefore == 0);
        Assert.Equal(2, listing.Prefixes.Count(node => node.Parent == start.Id && node.TokensBefore == 48));
        Assert.Equal(TenantName.Of("a"), listing.Prefixes.Single(node => node.Tenant != "default").Tenant);
        Assert.All(listing.Prefixes, node => Assert.True(node is { InUse: false, IsPinned: false, IdleSeconds: >= 0 } && node.DeviceBlocks * 16 == node.Tokens));
    }

    [Fact]
    public async Task What_is_deleted_is_not_found_again_and_its_neighbours_are()
    {
        await using var engine = new SteppedEngine(Small with { KvTokens = 256, KvHostBytes = 1 << 20 });
        int[] left = [.. Prompt(48), .. Prompt(40, 100)], right = [.. Prompt(48), .. Prompt(40, 200)];
        foreach (var prompt in (int[][])[left, right]) Run(engine, SteppedEngine.Ask(1, 0) with { Prompt = [.. prompt] });
        Run(engine, SteppedEngine.Ask(50, 0) with { CacheSalt = "a" });
        var nodes = (await Ask(engine, engine.Engine.CachedAsync())).Prefixes;
        var leaf = nodes.First(node => node.TokensBefore == 48);
        var deleted = await Ask(engine, engine.Engine.DeletePrefixAsync(leaf.Id));
        Assert.Equal(3, deleted!.DeviceBlocks);
        Assert.Null(await Ask(engine, engine.Engine.DeletePrefixAsync(leaf.Id)));
        Assert.Equal(4, (await Ask(engine, engine.Engine.DeleteSaltAsync("a"))).DeviceBlocks);
        Assert.Equal(0, (await Ask(engine, engine.Engine.DeleteSaltAsync("a"))).DeviceBlocks);
        Assert.Equal(0, Run(engine, SteppedEngine.Ask(50, 0) with { CacheSalt = "a" }).Usage.CachedTokens);
        Assert.Equal([48, 87], new[] { left, right }.Select(prompt => Run(engine, SteppedEngine.Ask(1, 0) with { Prompt = [.. prompt] }).Usage.CachedTokens).Order());
        await Ask(engine, engine.Engine.DeleteAllAsync());
        Assert.Equal(0, engine.State.KvBlocksIdle);
        Assert.Equal(0, Run(engine, SteppedEngine.Ask(1, 0) with { Prompt = [.. right] }).Usage.CachedTokens);
    }

    [Fact]
    public async Task A_running_request_keeps_what_was_deleted_and_leaves_nothing()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy);
        var request = SteppedEngine.Ask(60, 40) with { CacheSalt = "a" };
        var reply = engine.Submit(request);
        engine.Step(5);
        var deleted = await Ask(engine, engine.Engine.DeleteTenantAsync(TenantName.Of("a")));
        Assert.Equal((1, 4), (deleted!.RequestsKeeping, deleted.DeviceBlocks));
        engine.Finish();
        Assert.Equal((await SteppedEngine.Alone(SteppedEngine.Roomy, request))[0], reply.Text);
        Assert.Equal((0, 0), (engine.State.KvBlocksIdle, engine.State.KvBlocksUsed));
        engine.Engine.Blocks.CheckIntegrity();
    }

    [Fact]
    public async Task What_is_wanted_longer_stays_when_others_go()
    {
        await using var engine = new SteppedEngine(Small);
        Run(engine, SteppedEngine.Ask(40, 1) with { Retention = new KvRetention(90, TimeSpan.FromHours(1)) });
        for (var i = 0; i < 6; i++) Run(engine, SteppedEngine.Ask(50, 1, first: 20 + i));
        Assert.InRange(Run(engine, SteppedEngine.Ask(40, 1)).Usage.CachedTokens, 32, 39);
        Assert.Equal(RefusalKind.Invalid, Assert.Throws<RequestException>(() => engine.Submit(SteppedEngine.Ask(40, 1) with { Retention = new KvRetention(101, TimeSpan.FromHours(1)) })).Kind);
    }

    private static System.Collections.Immutable.ImmutableArray<int> Prompt(int tokens, int first = 0) => SteppedEngine.Ask(tokens, 1, first: first).Prompt;

    private static GenerationStream Run(SteppedEngine engine, GenerationRequest request)
    {
        var reply = engine.Submit(request);
        engine.Finish();
        return reply.Stream;
    }

    /// <summary>Steps until an answer is there; what asks goes on in other threads between the steps.</summary>
    private static async Task<T> Ask<T>(SteppedEngine engine, Task<T> question)
    {
        while (!question.IsCompleted)
        {
            engine.Step();
            await Task.Yield();
        }
        return await question;
    }
}

using Kvasir.Engine.KvCache;
using Kvasir.Kernels;
using Kvasir.Protocol.KvEvents;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>Layers that see a window give back what it has passed, and what comes again is found all the same.</summary>
/// <remarks>The Gemma 3 here has windows of 16 tokens in five of its six layers, the Mistral in both of its two.</remarks>
public sealed class SlidingWindowTests
{
    private static readonly EngineOptions Options = SteppedEngine.Roomy with { ContextTokens = 512, KvTokens = 2048, ChunkTokens = 32 };

    [Theory]
    [InlineData(SyntheticFamily.Gemma3, 6, 25 + (5 * 4))]
    [InlineData(SyntheticFamily.Gemma2, 2, 25 + 4)]
    [InlineData(SyntheticFamily.Mistral, 1, 4)]
    [InlineData(SyntheticFamily.Llama, 1, 25)]
    public void A_long_sequence_holds_a_window_and_a_step_in_layers_that_see_no_more(SyntheticFamily family, int groups, int most)
    {
        var plan = KvGroups.For(TinyModels.Of(family).Spec, KvFormat.F16, ahead: 32);
        Assert.Equal((groups, most), (plan.Count, plan.Blocks(400)));
    }

    [Theory]
    [InlineData(SyntheticFamily.Gemma3)]
    [InlineData(SyntheticFamily.Mistral)]
    public async Task A_sequence_never_holds_more_than_planned(SyntheticFamily family)
    {
        await using var engine = new SteppedEngine(Options, family);
        var reply = engine.Submit(SteppedEngine.Ask(300, 100));
        var most = 0;
        while (!reply.IsDone)
        {
            engine.Step();
            most = Math.Max(most, engine.State.KvBlocksUsed);
        }
        Assert.Equal(100, reply.Tokens.Count);
        Assert.InRange(most, 3, engine.Engine.Plan.Groups.Blocks(400));
    }

    [Fact]
    public async Task Sequences_longer_than_all_layers_could_keep_run()
    {
        // 12 blocks of one group: without windows 192 tokens.
        await using var engine = new SteppedEngine(Options with { KvTokens = 192 }, SyntheticFamily.Mistral);
        var reply = engine.Submit(SteppedEngine.Ask(300, 150));
        engine.Finish();
        Assert.Equal((150, 0), (reply.Tokens.Count, reply.Stream.Usage.Preemptions));
    }

    [Theory]
    [InlineData(SyntheticFamily.Gemma3)]
    [InlineData(SyntheticFamily.Mistral)]
    public async Task A_conversation_goes_on_where_it_ended(SyntheticFamily family)
    {
        await using var engine = new SteppedEngine(Options, family);
        var first = engine.Submit(SteppedEngine.Ask(200, 20));
        engine.Finish();
        var next = new GenerationRequest { Prompt = [.. first.Request.Prompt, .. first.Text, 7, 8, 9], MaxTokens = 10, Sampling = new() { Seed = 3 } };
        var second = engine.Submit(next);
        engine.Finish();
        // All but the last token of the text, whose keys and values nobody has computed.
        Assert.Equal(219, second.Stream.Usage.CachedTokens);
        Assert.Equal(await Alone(family, next), second.Text);
    }

    [Theory]
    [InlineData(SyntheticFamily.Gemma3)]
    [InlineData(SyntheticFamily.Mistral)]
    public async Task Texts_that_begin_alike_share_it_although_the_first_is_far_beyond(SyntheticFamily family)
    {
        await using var engine = new SteppedEngine(Options, family);
        engine.Submit(SteppedEngine.Ask(300, 50));
        engine.Finish();
        var other = new GenerationRequest { Prompt = [.. SteppedEngine.Ask(128, 0).Prompt, .. SteppedEngine.Ask(60, 0, first: 17).Prompt], MaxTokens = 10, Sampling = new() { Seed = 4 } };
        var reply = engine.Submit(other);
        engine.Finish();
        Assert.InRange(reply.Stream.Usage.CachedTokens, 128, 143);
        Assert.Equal(await Alone(family, other), reply.Text);
    }

    [Fact]
    public async Task What_the_window_had_passed_gives_way_before_what_is_needed_again()
    {
        // Room for one such text whole, or for two conversations as their ends need it.
        var tight = Options with { KvTokens = 176 };
        await using var engine = new SteppedEngine(tight, SyntheticFamily.Mistral);
        var replies = new List<Reply>();
        for (var i = 0; i < 2; i++)
        {
            replies.Add(engine.Submit(SteppedEngine.Ask(160, 5, first: 50 * i)));
            engine.Finish();
        }
        foreach (var reply in replies)
        {
            var again = engine.Submit(new GenerationRequest { Prompt = [.. reply.Request.Prompt, .. reply.Text, 1], MaxTokens = 5 });
            engine.Finish();
            Assert.Equal(164, again.Stream.Usage.CachedTokens);
        }
    }

    [Theory]
    [InlineData(SyntheticFamily.Gemma3)]
    [InlineData(SyntheticFamily.Mistral)]
    public async Task A_conversation_comes_back_from_disk_after_a_restart(SyntheticFamily family)
    {
        var folder = Directory.CreateTempSubdirectory("kvasir-windows-");
        try
        {
            var options = Options with { KvDisk = new KvDiskOptions(folder.FullName, 4_000_000) };
            int[] said;
            await using (var engine = new SteppedEngine(options, family))
            {
                var reply = engine.Submit(SteppedEngine.Ask(200, 24));
                engine.Finish();
                said = [.. reply.Request.Prompt, .. reply.Text];
            }
            await using var restarted = new SteppedEngine(options, family);
            var request = new GenerationRequest { Prompt = [.. said, 5, 6, 7], MaxTokens = 10, Sampling = new() { Seed = 9 }, Explain = true };
            var next = restarted.Submit(request);
            restarted.Finish();
            Assert.Equal(208, next.Stream.Explanation!.Cached.Disk);
            Assert.Equal(await Alone(family, request), next.Text);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Events_tell_the_group_and_give_a_block_one_key_in_all_of_them()
    {
        var stored = new List<BlocksStored>();
        await using var engine = new SteppedEngine(Options with { KvEvents = batch => stored.AddRange(batch.Events.OfType<BlocksStored>()) }, SyntheticFamily.Gemma3);
        engine.Submit(SteppedEngine.Ask(64, 1));
        engine.Finish();
        Assert.Equal([0, 1, 2, 3, 4, 5], stored.Select(part => part.Group).Distinct().Order());
        var keys = stored.GroupBy(part => part.Group).Select(group => group.SelectMany(part => part.Blocks).ToArray()).ToArray();
        Assert.Equal(4, keys[0].Length);
        Assert.All(keys, group => Assert.Equal(keys[0], group));
    }

    [Fact]
    public async Task A_pin_holds_of_a_window_what_a_text_after_it_needs()
    {
        await using var engine = new SteppedEngine(Options with { KvPinShare = 1 }, SyntheticFamily.Gemma3);
        engine.Submit(SteppedEngine.Ask(96, 1));
        engine.Finish();
        var pinning = engine.Engine.TryPinAsync(SteppedEngine.Ask(96, 0).Prompt, null);
        engine.Step();
        // Six blocks where all tokens are seen, one of each of the five groups that see sixteen.
        Assert.Equal(11 * engine.Engine.Plan.KvBlockBytes, (await pinning)!.PinnedBytes);
    }

    private static async Task<int[]> Alone(SyntheticFamily family, GenerationRequest request)
    {
        await using var engine = new SteppedEngine(Options with { PrefixCache = false, MaxSequences = 1 }, family);
        var reply = engine.Submit(request);
        engine.Finish();
        return reply.Text;
    }
}

using System.Buffers;
using Kvasir.Gateway.Index;
using Kvasir.Protocol.KvEvents;
using NetMQ;
using NetMQ.Sockets;

namespace Kvasir.Gateway.Tests.Index;

/// <summary>A gateway that restarts before workers that hold much: what it learns, and when.</summary>
public sealed class KvEventSubscriberTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_fresh_gateway_learns_what_workers_hold_before_anything_new_happens_there(bool sgLang)
    {
        await using var fleet = await StartAsync(sgLang);
        // SGLang's tokenizer knows no messages: its prompts must come as text.
        var prompt = TestFleet.Text(1, 4000);
        using (await AskAsync(fleet, prompt)) { }
        await fleet.SettleAsync();
        await TestFleet.UntilAsync(() => fleet.State.Caches.Events.Blocks == fleet.Workers[0].Cache.Count);
        await using var again = await RestartAsync(fleet);
        await TestFleet.UntilAsync(() => again.State.Caches.Events.Blocks == fleet.Workers[0].Cache.Count);
        using (await AskAsync(again, prompt)) { }
        await again.SettleAsync();
        var latest = (await again.GetAsync("/gateway/decisions?limit=1"))[0];
        Assert.Equal(latest.GetProperty("actual_cached_tokens").GetInt32(), latest.GetProperty("predicted_cached_tokens").GetDouble());
        Assert.True(latest.GetProperty("actual_cached_tokens").GetInt32() > 900);
        Assert.Equal("exact", latest.GetProperty("candidates")[0].GetProperty("trust").GetString());
    }

    [Fact]
    public async Task Where_the_replay_does_not_reach_back_less_is_believed_and_said_to_be_lost()
    {
        await using var fleet = await StartAsync(sgLang: false, messages: 3);
        var texts = Enumerable.Range(0, 10).Select(i => TestFleet.Text(i, 2000)).ToArray();
        foreach (var text in texts)
            using (await AskAsync(fleet, text)) { }
        await fleet.SettleAsync();
        // All ten are published, so that the buffer holds the last three.
        await TestFleet.UntilAsync(() => fleet.State.Caches.Events.Blocks == fleet.Workers[0].Cache.Count);
        await using var again = await RestartAsync(fleet);
        await TestFleet.UntilAsync(() => again.State.Caches.Events.Knows(again.State.Fleet.Workers[0]));
        Assert.InRange(again.State.Caches.Events.Blocks, 1, fleet.Workers[0].Cache.Count / 2);
        var worker = (await again.GetAsync("/gateway/workers"))[0];
        Assert.Equal(("degraded", 7L), (worker.GetProperty("trust").GetString(), worker.GetProperty("events").GetProperty("lost").GetInt64()));
        using (await AskAsync(again, texts[0])) { }
        await again.SettleAsync();
        var latest = (await again.GetAsync("/gateway/decisions?limit=1"))[0];
        Assert.Equal(0, latest.GetProperty("predicted_cached_tokens").GetDouble());
        Assert.True(latest.GetProperty("actual_cached_tokens").GetInt32() > 400);
    }

    [Fact]
    public async Task Eight_bytes_of_FF_end_a_replay()
    {
        using var live = new PublisherSocket();
        using var replay = new RouterSocket();
        var (port, replayPort) = (live.BindRandomPort("tcp://127.0.0.1"), replay.BindRandomPort("tcp://127.0.0.1"));
        var applied = new List<double>();
        using var subscriber = new KvEventSubscriber($"tcp://127.0.0.1:{port}", $"tcp://127.0.0.1:{replayPort}", batch =>
        {
            lock (applied) applied.Add(batch.TimestampSeconds);
        }, () => Assert.Fail("Nothing was lost."));
        var asked = new List<byte[]>();
        Assert.True(replay.TryReceiveMultipartBytes(TimeSpan.FromSeconds(30), ref asked!, 3));
        Assert.Equal(new byte[8], asked[^1]);
        replay.SendMoreFrame(asked[0]).SendMoreFrameEmpty().SendMoreFrame(new byte[8]).SendFrame(Payload(100));
        replay.SendMoreFrame(asked[0]).SendMoreFrameEmpty().SendMoreFrame(Enumerable.Repeat((byte)0xFF, 8).ToArray()).SendFrameEmpty();
        // What comes after the mark is nobody's.
        replay.SendMoreFrame(asked[0]).SendMoreFrameEmpty().SendMoreFrame([0, 0, 0, 0, 0, 0, 0, 1]).SendFrame(Payload(999));
        await TestFleet.UntilAsync(() =>
        {
            live.SendMoreFrameEmpty().SendMoreFrame([0, 0, 0, 0, 0, 0, 0, 1]).SendFrame(Payload(101));
            lock (applied) return applied.Count == 2;
        });
        Assert.Equal([100, 101], applied);
    }

    [Fact]
    public async Task The_last_message_of_all_that_is_lost_is_missed_and_asked_for()
    {
        await using var fleet = await StartAsync(sgLang: false);
        await fleet.AskUntilKnownAsync();
        fleet.Workers[0].Options.EventLossShare = 1;
        using (await fleet.AskAsync(TestFleet.Text(1, 2000))) { }
        await fleet.SettleAsync();
        Assert.True(fleet.State.Caches.Events.Blocks < fleet.Workers[0].Cache.Count);
        // Nothing more is published: silence alone must be enough.
        await TestFleet.UntilAsync(() => fleet.State.Caches.Events.Blocks == fleet.Workers[0].Cache.Count);
        Assert.Equal(0, fleet.State.Caches.Events.Told(fleet.State.Fleet.Workers[0])!.Value.Counts.Lost);
        Assert.Equal(10, KvEventSubscriber.QuietBeforeReplay.TotalSeconds);
    }

    [Fact]
    public async Task A_cleared_cache_is_believed_empty()
    {
        await using var fleet = await StartAsync(sgLang: false);
        await fleet.AskUntilKnownAsync();
        using var client = new HttpClient();
        (await client.PostAsync(new Uri(fleet.Workers[0].Address, "/reset_prefix_cache"), null)).EnsureSuccessStatusCode();
        await TestFleet.UntilAsync(() => fleet.State.Caches.Events.Blocks == 0);
    }

    private static byte[] Payload(double seconds)
    {
        var buffer = new ArrayBufferWriter<byte>();
        KvEventWriter.Write(buffer, new KvEventBatch(seconds, [new AllBlocksCleared()]));
        return buffer.WrittenSpan.ToArray();
    }

    private static Task<TestFleet> StartAsync(bool sgLang, int messages = 10_000) => TestFleet.StartAsync(1,
        _ => TestFleet.Fast with { SgLang = sgLang, EventPort = TestFleet.FreePort(), ReplayPort = TestFleet.FreePort(), ReplayMessages = messages });

    private static async Task<TestFleet> RestartAsync(TestFleet fleet) => new() { Workers = [], Gateway = await GatewayServer.StartAsync(fleet.State.Options with { Port = 0 }) };

    private static Task<HttpResponseMessage> AskAsync(TestFleet fleet, string prompt) =>
        fleet.SendAsync(HttpMethod.Post, "/v1/completions", System.Net.Http.Json.JsonContent.Create(new { model = "mock", prompt, max_tokens = 2 }));
}

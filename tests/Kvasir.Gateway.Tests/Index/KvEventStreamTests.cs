using System.Buffers;
using Kvasir.Gateway.Index;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Gateway.Tests.Index;

/// <summary>Events that are lost, duplicated, reordered or come from a publisher that restarted.</summary>
public sealed class KvEventStreamTests
{
    private readonly List<double> applied = [];
    private int forgotten;

    [Fact]
    public void Messages_in_order_are_applied_once()
    {
        var stream = Stream(canReplay: false);
        for (ulong i = 0; i < 3; i++) Assert.Equal(StreamNeed.None, stream.Receive(i, Payload(i)));
        stream.Receive(1, Payload(1));
        Assert.Equal([0.0, 1, 2], applied);
        Assert.Equal((0, 0L), (forgotten, stream.Gaps));
    }

    [Fact]
    public void A_gap_without_replay_forgets_what_was_known()
    {
        var stream = Stream(canReplay: false);
        stream.Receive(0, Payload(0));
        stream.Receive(3, Payload(3));
        Assert.Equal((1, 2L), (forgotten, stream.Lost));
        Assert.Equal([0.0, 3], applied);
    }

    [Fact]
    public void A_gap_is_filled_by_replay_in_order()
    {
        var stream = Stream(canReplay: true);
        stream.Receive(0, Payload(0));
        Assert.Equal(StreamNeed.Replay, stream.Receive(3, Payload(3)));
        Assert.Equal(1UL, stream.Wanted);
        stream.ReceiveReplayed(2, Payload(2));
        stream.ReceiveReplayed(1, Payload(1));
        stream.EndReplay();
        Assert.Equal([0.0, 1, 2, 3], applied);
        Assert.Equal(0, forgotten);
    }

    [Fact]
    public void A_replay_that_begins_too_late_counts_the_rest_as_lost()
    {
        var stream = Stream(canReplay: true);
        stream.Receive(0, Payload(0));
        stream.Receive(10, Payload(10));
        for (ulong i = 7; i < 10; i++) stream.ReceiveReplayed(i, Payload(i));
        stream.EndReplay();
        Assert.Equal([0.0, 7, 8, 9, 10], applied);
        Assert.Equal((1, 6L), (forgotten, stream.Lost));
    }

    [Fact]
    public void A_first_message_above_zero_is_already_a_gap()
    {
        var stream = Stream(canReplay: true);
        Assert.Equal(StreamNeed.Replay, stream.Receive(5, Payload(5)));
        Assert.Equal(0UL, stream.Wanted);
        Assert.Equal(1, stream.Gaps);
    }

    [Fact]
    public void A_publisher_that_counts_from_zero_again_has_lost_its_cache()
    {
        var stream = Stream(canReplay: false);
        for (ulong i = 0; i < 5; i++) stream.Receive(i, Payload(i));
        stream.Receive(0, Payload(100));
        Assert.Equal((1, 1L), (forgotten, stream.Restarts));
        Assert.Equal(100, applied[^1]);
        Assert.Equal(1UL, stream.Wanted);
    }

    [Fact]
    public void A_message_that_cannot_be_read_counts_as_lost()
    {
        var stream = Stream(canReplay: false);
        stream.Receive(0, Payload(0));
        stream.Receive(1, new byte[] { 0xC1, 0x00 });
        stream.Receive(2, Payload(2));
        Assert.Equal((1, 1L), (forgotten, stream.Unreadable));
        Assert.Equal([0.0, 2], applied);
    }

    [Fact]
    public void A_message_that_cannot_be_read_with_a_number_that_was_passed_is_a_restart()
    {
        var stream = Stream(canReplay: false);
        for (ulong i = 0; i < 5; i++) stream.Receive(i, Payload(i));
        stream.Receive(0, new byte[] { 0xC1 });
        Assert.True(forgotten > 0);
        Assert.Equal((1L, 1L, 1UL), (stream.Restarts, stream.Unreadable, stream.Wanted));
        stream.Receive(1, Payload(10));
        Assert.Equal(10, applied[^1]);
    }

    [Fact]
    public void What_was_published_before_is_applied_by_a_replay_at_the_start()
    {
        var stream = Stream(canReplay: true);
        for (ulong i = 0; i < 3; i++) stream.ReceiveReplayed(i, Payload(i));
        stream.EndReplay();
        Assert.Equal(StreamNeed.None, stream.Receive(3, Payload(3)));
        // What came live while the replay ran comes twice.
        Assert.Equal(StreamNeed.None, stream.Receive(2, Payload(2)));
        Assert.Equal([0.0, 1, 2, 3], applied);
        Assert.Equal((0, 0L, 0L, 0L), (forgotten, stream.Gaps, stream.Lost, stream.Restarts));
    }

    [Fact]
    public void A_message_that_is_minutes_late_is_not_applied_after_those_that_followed_it()
    {
        var stream = Stream(canReplay: false);
        stream.Receive(0, Payload(0));
        for (ulong i = 2; i < 500; i++) stream.Receive(i, Payload(i));
        stream.Receive(1, Payload(1));
        Assert.Equal((1, 1L, 0L), (forgotten, stream.Lost, stream.Restarts));
        Assert.DoesNotContain(1.0, applied);
    }

    private KvEventStream Stream(bool canReplay) => new(batch => applied.Add(batch.TimestampSeconds), () => forgotten++, canReplay);

    private static ReadOnlyMemory<byte> Payload(double seconds)
    {
        var buffer = new ArrayBufferWriter<byte>();
        KvEventWriter.Write(buffer, new KvEventBatch(seconds, [new AllBlocksCleared()]));
        return buffer.WrittenMemory;
    }
}

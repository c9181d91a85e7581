using System.Buffers;
using Kvasir.Gateway.Index;
using Kvasir.Protocol.KvEvents;
using Kvasir.Simulation.Mock;

namespace Kvasir.Gateway.Tests.Index;

/// <summary>
/// A cache comes and goes while its messages are lost, doubled, reordered, delayed and its publisher restarts. The bound:
/// once the newest message has arrived, the index believes nothing that the cache does not hold.
/// </summary>
public sealed class EventFaultTests
{
    private const int BlockSize = 4, CapacityBlocks = 24, Steps = 120;

    [Theory]
    [InlineData(0.2, 0, 0)]
    [InlineData(0, 0.3, 0)]
    [InlineData(0, 0, 0.3)]
    [InlineData(0.1, 0.1, 0.1)]
    public void Whatever_happens_to_messages_nothing_is_believed_that_is_not_there(double lost, double doubled, double reordered)
    {
        for (var seed = 1; seed <= 60; seed++) Run(seed, lost, doubled, reordered, restarts: false, canReplay: false);
    }

    [Fact]
    public void A_publisher_that_restarts_empty_is_believed_empty()
    {
        for (var seed = 1; seed <= 60; seed++) Run(seed, 0.05, 0, 0.05, restarts: true, canReplay: false);
    }

    [Fact]
    public void With_replay_nothing_is_forgotten_either()
    {
        for (var seed = 1; seed <= 60; seed++) Run(seed, 0.2, 0.1, 0.1, restarts: false, canReplay: true);
    }

    /// <summary>A stream that is late tells the past: what is believed is what the cache held when the newest message that arrived was sent.</summary>
    [Fact]
    public void However_late_messages_are_what_is_believed_is_what_was_there_when_the_newest_was_sent()
    {
        for (var seed = 1; seed <= 40; seed++)
        {
            var random = new Random(seed);
            var index = new EventIndex(BlockSize, 1);
            var stream = new KvEventStream(batch => batch.Events.ToList().ForEach(change => index.Apply(0, change)), () => index.Clear(0), canReplay: false);
            var cache = new MockCache(BlockSize, CapacityBlocks);
            var prompts = Enumerable.Range(0, 12).Select(_ => Enumerable.Range(0, random.Next(4, 40)).Select(_ => random.Next(50)).ToArray()).ToArray();
            var late = new Queue<(int Due, byte[] Payload, int[] Held)>();
            ulong number = 0;
            for (var step = 0; step < Steps; step++)
            {
                // Each is late by up to half the run, and none overtakes another.
                late.Enqueue((step + random.Next(Steps / 2), Payload(step, cache.Add(prompts[random.Next(prompts.Length)])), [.. prompts.Select(prompt => cache.Match([.. prompt, 0]))]));
                while (late.TryPeek(out var next) && next.Due <= step)
                {
                    late.Dequeue();
                    stream.Receive(number++, next.Payload);
                    for (var i = 0; i < prompts.Length; i++) Assert.Equal(next.Held[i], Believed(index, prompts[i]));
                }
            }
            Assert.Equal(0, stream.Lost);
        }
    }

    private static int Believed(EventIndex index, int[] prompt)
    {
        var chain = new ulong[prompt.Length / BlockSize];
        var lengths = new int[Enum.GetValues<KvTier>().Length];
        index.Match(chain.AsSpan(0, index.Name(prompt, chain)), lengths);
        return lengths[index.HolderOf(0, KvTier.Device)] * BlockSize;
    }

    private static void Run(int seed, double lost, double doubled, double reordered, bool restarts, bool canReplay)
    {
        var random = new Random(seed);
        var index = new EventIndex(BlockSize, 1);
        var stream = new KvEventStream(batch => batch.Events.ToList().ForEach(change => index.Apply(0, change)), () => index.Clear(0), canReplay);
        var cache = new MockCache(BlockSize, CapacityBlocks);
        var prompts = Enumerable.Range(0, 12).Select(_ => Enumerable.Range(0, random.Next(4, 40)).Select(_ => random.Next(50)).ToArray()).ToArray();
        var published = new List<byte[]>();
        (ulong Number, byte[] Payload)? late = null;
        for (var step = 0; step < Steps; step++)
        {
            var isFresh = restarts && random.NextDouble() < 0.03;
            if (isFresh)
            {
                cache = new MockCache(BlockSize, CapacityBlocks);
                published.Clear();
                late = null;
            }
            published.Add(Payload(step, cache.Add(prompts[random.Next(prompts.Length)])));
            var message = ((ulong)published.Count - 1, published[^1]);
            // Of a publisher that restarted something must arrive before it has counted as far as the old one did: numbers
            // alone could not tell the two apart. (A worker that is away is also forgotten by its health.)
            var draw = isFresh ? 1 : random.NextDouble();
            if (draw < lost) continue;
            if (late is null && draw < lost + reordered)
            {
                late = message;
                continue;
            }
            Deliver(message);
            if (random.NextDouble() < doubled) Deliver(message);
            if (late is { } held) Deliver(held);
            late = null;
            foreach (var prompt in prompts) Check(prompt);
        }

        void Deliver((ulong Number, byte[] Payload) message)
        {
            if (stream.Receive(message.Number, message.Payload) != StreamNeed.Replay) return;
            for (var number = (int)stream.Wanted; number < published.Count; number++) stream.ReceiveReplayed((ulong)number, published[number]);
            stream.EndReplay();
        }

        void Check(int[] prompt)
        {
            var believed = Believed(index, prompt);
            // The cache's own word leaves out the last token, which is always computed.
            var held = cache.Match([.. prompt, 0]);
            Assert.True(believed <= held, $"seed {seed}: {believed} tokens are believed where {held} are held");
            if (canReplay) Assert.True(believed >= held / BlockSize * BlockSize, $"seed {seed}: {believed} tokens are believed where {held} are held and replay lost nothing");
        }
    }

    private static byte[] Payload(int step, System.Collections.Immutable.ImmutableArray<KvEvent> events)
    {
        var buffer = new ArrayBufferWriter<byte>();
        KvEventWriter.Write(buffer, new KvEventBatch(1_000 + step, events));
        return buffer.WrittenSpan.ToArray();
    }
}

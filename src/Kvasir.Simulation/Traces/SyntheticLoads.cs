using System.Collections.Immutable;

namespace Kvasir.Simulation.Traces;

/// <summary>Loads made from a seed: conversations, retrieval with shared documents, agents with long histories.</summary>
public static class SyntheticLoads
{
    private const int BlockTokens = 512;

    /// <summary>The names.</summary>
    public static IReadOnlyList<string> Names { get; } = ["chat", "rag", "agent"];

    /// <summary>A load by name, or null.</summary>
    /// <param name="name">chat, rag or agent.</param>
    /// <param name="requests">How many.</param>
    /// <param name="ratePerSecond">Mean arrivals per second, exponential gaps.</param>
    /// <param name="seed">Equal seeds, equal loads.</param>
    public static Trace? Make(string name, int requests, double ratePerSecond, int seed)
    {
        var (system, first, turn, output, documents) = name switch
        {
            // Tokens: system prompt, first question, each further question, answer; documents of which one is prefixed.
            "chat" => (1024, 512, 512, 300, 0),
            "rag" => (512, 512, 0, 200, 200),
            "agent" => (6144, 1024, 1536, 150, 0),
            _ => (0, 0, 0, 0, 0),
        };
        if (system == 0) return null;
        var random = new Random(seed);
        var builder = ImmutableArray.CreateBuilder<TraceRequest>(requests);
        var open = new List<Conversation>();
        var (time, unique) = (0.0, 1_000_000UL);
        for (var i = 0; i < requests; i++)
        {
            time += -Math.Log(1 - random.NextDouble()) / ratePerSecond;
            var ready = open.Where(conversation => conversation.ReadyAt <= time).ToList();
            Conversation conversation;
            if (turn > 0 && ready.Count > 0 && random.NextDouble() < 0.8) conversation = ready[random.Next(ready.Count)];
            else
            {
                conversation = new Conversation((ulong)i + 1);
                conversation.Add(system / BlockTokens, block => (ulong)block + 1);
                // Popular documents are asked about more often.
                if (documents > 0)
                {
                    var document = (int)(documents * Math.Pow(random.NextDouble(), 3));
                    conversation.Add(8, block => 10_000 + ((ulong)document * 100) + (ulong)block);
                }
                conversation.Add(Blocks(first, random), _ => unique++);
                if (turn > 0) open.Add(conversation);
            }
            var answer = Math.Max(1, (int)(output * (0.5 + random.NextDouble())));
            builder.Add(new TraceRequest(time, (conversation.Blocks.Count * BlockTokens) + random.Next(1, BlockTokens), answer,
                [.. conversation.Blocks.Select(TraceReader.Name)], conversation.Id));
            conversation.Add((answer / BlockTokens) + Blocks(turn, random), _ => unique++);
            conversation.ReadyAt = time + 5 + (random.NextDouble() * 30);
            if (conversation.Blocks.Count > 128) open.Remove(conversation);
        }
        return new Trace(name, BlockTokens, builder.ToImmutable());
    }

    private static int Blocks(int tokens, Random random) => tokens == 0 ? 0 : Math.Max(1, (int)(tokens * (0.5 + random.NextDouble()) / BlockTokens));

    private sealed class Conversation(ulong id)
    {
        public ulong Id => id;
        public List<ulong> Blocks { get; } = [];
        public double ReadyAt { get; set; }

        public void Add(int count, Func<int, ulong> name)
        {
            for (var i = 0; i < count; i++) Blocks.Add(name(i));
        }
    }
}

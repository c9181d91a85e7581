using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Kvasir.Cli.Load;

/// <summary>
/// What a cache that forgets nothing would have found: for each request, in the order in which they were sent, the longest
/// beginning that an earlier prompt or a complete earlier answer has. One token is always computed, as every engine does.
/// </summary>
internal sealed class InfiniteCache
{
    private readonly HashSet<UInt128> prefixes = [];

    /// <summary>Tokens of a prompt that are known already.</summary>
    public int Find(ReadOnlySpan<int> prompt)
    {
        var found = 0;
        UInt128 name = 0;
        foreach (var token in prompt)
        {
            name = Extend(name, token);
            if (!prefixes.Contains(name)) break;
            found++;
        }
        return Math.Min(found, Math.Max(0, prompt.Length - 1));
    }

    /// <summary>Takes tokens in.</summary>
    public void Add(ReadOnlySpan<int> tokens)
    {
        UInt128 name = 0;
        foreach (var token in tokens) prefixes.Add(name = Extend(name, token));
    }

    /// <summary>
    /// Tokens that such a cache would have found in all of a load's requests, by the server's own tokenizer; null where the
    /// server does not tell its tokens.
    /// </summary>
    public async Task<long?> CountAsync(ServerUnderTest server, IReadOnlyList<RequestOutcome> outcomes, CancellationToken cancel)
    {
        if (!server.CanTokenize || server.Form.IsChat) return null;
        var answered = new PriorityQueue<List<int>, double>();
        long found = 0;
        foreach (var outcome in outcomes)
        {
            while (answered.TryPeek(out var earlier, out var end) && end <= outcome.SentSeconds)
            {
                Add(CollectionsMarshal.AsSpan(earlier));
                answered.Dequeue();
            }
            var text = outcome.Asked!.Text();
            if (await server.TryTokenizeAsync(text, cancel) is not { } prompt) return null;
            var known = Find(CollectionsMarshal.AsSpan(prompt));
            // Tokens that the server puts before every text (BOS) are known once any text is.
            if (outcome.Error is null && known > 0) found += known + Math.Max(0, outcome.PromptTokens - prompt.Count);
            Add(CollectionsMarshal.AsSpan(prompt));
            if (await server.TryTokenizeAsync(text + outcome.Text, cancel) is not { } whole) return null;
            answered.Enqueue(whole, outcome.EndSeconds);
        }
        while (answered.TryDequeue(out var earlier, out _)) Add(CollectionsMarshal.AsSpan(earlier));
        return found;
    }

    private static UInt128 Extend(UInt128 name, int token)
    {
        Span<byte> bytes = stackalloc byte[20];
        MemoryMarshal.Write(bytes, name);
        MemoryMarshal.Write(bytes[16..], token);
        return XxHash128.HashToUInt128(bytes);
    }
}

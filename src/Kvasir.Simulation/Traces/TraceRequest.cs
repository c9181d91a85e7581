using System.Collections.Immutable;

namespace Kvasir.Simulation.Traces;

/// <summary>One request of a trace.</summary>
/// <param name="ArrivalSeconds">From the trace's start.</param>
/// <param name="PromptTokens">Tokens of its prompt.</param>
/// <param name="OutputTokens">Tokens of its answer, at least 1.</param>
/// <param name="Blocks">Names of the prompt's blocks: equal names mean equal prompts up to and including the block.</param>
/// <param name="Session">Names the conversation, or zero where the trace does not tell.</param>
public sealed record TraceRequest(double ArrivalSeconds, int PromptTokens, int OutputTokens, ImmutableArray<ulong> Blocks, ulong Session = 0);

/// <summary>Requests in the order of their arrival.</summary>
/// <param name="Name">For tables.</param>
/// <param name="BlockTokens">Tokens per block.</param>
/// <param name="Requests">In order.</param>
public sealed record Trace(string Name, int BlockTokens, ImmutableArray<TraceRequest> Requests)
{
    /// <summary>Prompt tokens of all requests.</summary>
    public long PromptTokens => Requests.Sum(request => (long)request.PromptTokens);

    /// <summary>Share of prompt tokens that one cache without bounds would hold: no policy can hit more.</summary>
    public double InfiniteCacheHitRate()
    {
        var seen = new HashSet<ulong>();
        long hits = 0;
        foreach (var request in Requests)
        {
            var matched = 0;
            while (matched < request.Blocks.Length && seen.Contains(request.Blocks[matched])) matched++;
            hits += Math.Min((long)matched * BlockTokens, request.PromptTokens - 1);
            foreach (var block in request.Blocks) seen.Add(block);
        }
        return PromptTokens == 0 ? 0 : (double)hits / PromptTokens;
    }
}

/// <summary>A trace cannot be read; the message names the file, the line and what was expected.</summary>
public sealed class TraceException(string message, Exception? inner = null) : Exception(message, inner);

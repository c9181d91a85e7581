using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Kvasir.Simulation.Traces;

/// <summary>
/// Prompts as token ids. A trace tells names of blocks, not texts: equal names become equal tokens, unequal ones unequal
/// tokens. What a trace does not name (the end of a prompt and the answer) is nobody else's.
/// </summary>
public static class TracePrompt
{
    /// <summary>The token of which a request's unnamed text consists.</summary>
    /// <param name="number">The request's number in the trace.</param>
    public static int Own(int number) => number;

    /// <summary>A request's prompt.</summary>
    /// <param name="request">The request.</param>
    /// <param name="number">Its number in the trace.</param>
    /// <param name="blockTokens">Tokens per named block, at least 2.</param>
    public static ImmutableArray<int> Of(TraceRequest request, int number, int blockTokens)
    {
        var tokens = GC.AllocateUninitializedArray<int>(request.PromptTokens);
        var named = request.Blocks.Length * blockTokens;
        for (var i = 0; i < request.Blocks.Length; i++)
        {
            // Two tokens hold 62 bits of the name; the first already tells nearly all blocks apart.
            var block = tokens.AsSpan(i * blockTokens, blockTokens);
            block.Fill((int)(request.Blocks[i] & int.MaxValue));
            block[0] = (int)(request.Blocks[i] >> 33);
        }
        tokens.AsSpan(named).Fill(Own(number));
        return ImmutableCollectionsMarshal.AsImmutableArray(tokens);
    }
}

using Kvasir.Engine.KvCache;
using Kvasir.Engine.Sampling;

namespace Kvasir.Engine.Scheduling;

/// <summary>A request on its way: its tokens so far, how many of them the KV cache holds, and where.</summary>
internal sealed class Sequence
{
    private int[] _tokens;

    public Sequence(GenerationRequest request, GenerationStream stream, BlockTable table, ulong seed, int lengthLimit, long submitted)
    {
        (Request, Stream, Seed, LengthLimit, Submitted) = (request, stream, seed, lengthLimit, submitted);
        _tokens = GC.AllocateUninitializedArray<int>(Math.Min(lengthLimit, request.Prompt.Length + 64));
        request.Prompt.CopyTo(_tokens);
        Length = request.Prompt.Length;
        Table = table;
        History = request.Sampling.Penalizes ? new TokenHistory(request.Prompt.AsSpan()) : null;
        PromptScores = request.PromptLogProbabilities ? new float[request.Prompt.Length - 1] : [];
    }

    public GenerationRequest Request { get; }
    public GenerationStream Stream { get; }
    public BlockTable Table { get; }
    public TokenHistory? History { get; }
    public float[] PromptScores { get; }
    public ulong Seed { get; }

    /// <summary>Most tokens, prompt included.</summary>
    public int LengthLimit { get; }

    /// <summary>Tokens known: prompt and text.</summary>
    public int Length { get; private set; }

    /// <summary>Tokens whose keys and values are in the cache.</summary>
    public int Computed { get; set; }

    /// <summary>Prompt tokens that the cache held when the sequence was admitted first.</summary>
    public int Cached { get; set; }

    /// <summary>Tokens that this step computes.</summary>
    public int Scheduled { get; set; }

    /// <summary>The first logit row that this step's tokens get, −1 for none.</summary>
    public int LogitRow { get; set; } = -1;

    public int Preemptions { get; set; }

    /// <summary>Whose it is; null before it is in a queue.</summary>
    public Tenant? Tenant { get; set; }

    /// <summary>Its number in the order of arrival.</summary>
    public long Arrival { get; set; }

    /// <summary>The look at the queue in which it was passed over.</summary>
    public long PassedOver { get; set; }

    /// <summary>Where its tokens were found.</summary>
    public PlacementAccount Account { get; } = new();

    /// <summary>Timestamps of the engine's clock; 0 while not reached.</summary>
    public long Submitted { get; }
    public long Started { get; set; }
    public long FirstToken { get; set; }

    public int Generated => Length - Request.Prompt.Length;

    /// <summary>Tokens still to compute before the next one can be sampled.</summary>
    public int Remaining => Length - Computed;

    /// <summary>Only the newest token is missing from the cache.</summary>
    public bool Decodes => Remaining == 1 && Generated > 0;

    /// <summary>Whether it has all the tokens that it may have, or none were asked for; once its prompt is computed.</summary>
    public bool IsWhole => Remaining == 0 || (Decodes && Length >= LengthLimit);

    /// <summary>All tokens known.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Length);

    /// <summary>The tokens in the cache.</summary>
    public ReadOnlySpan<int> ComputedTokens => _tokens.AsSpan(0, Computed);

    public ReadOnlySpan<int> Pending(int count) => _tokens.AsSpan(Computed, count);

    public int TokenAt(int position) => _tokens[position];

    public void Append(int token)
    {
        if (Length == _tokens.Length) Array.Resize(ref _tokens, (int)Math.Min(LengthLimit, _tokens.Length * 2L));
        _tokens[Length++] = token;
        History?.Add(token);
    }
}

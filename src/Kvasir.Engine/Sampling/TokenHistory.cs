namespace Kvasir.Engine.Sampling;

/// <summary>Which tokens a sequence has seen, for the penalties: in prompt or text, and how often in the text.</summary>
internal sealed class TokenHistory
{
    private readonly Dictionary<int, int> _generated = [];
    private readonly HashSet<int> _seen;

    public TokenHistory(ReadOnlySpan<int> prompt)
    {
        _seen = new HashSet<int>(prompt.Length);
        foreach (var token in prompt) _seen.Add(token);
    }

    public void Add(int token)
    {
        _seen.Add(token);
        _generated[token] = _generated.GetValueOrDefault(token) + 1;
    }

    public void Penalize(SamplingOptions options, Span<float> logits)
    {
        if (options.RepetitionPenalty != 1)
            foreach (var token in _seen)
                if (token < logits.Length)
                    logits[token] = logits[token] > 0 ? logits[token] / options.RepetitionPenalty : logits[token] * options.RepetitionPenalty;
        foreach (var (token, count) in _generated)
            if (token < logits.Length) logits[token] -= options.PresencePenalty + options.FrequencyPenalty * count;
    }
}

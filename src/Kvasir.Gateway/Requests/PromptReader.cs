namespace Kvasir.Gateway.Requests;

/// <summary>Turns requests into prompts, and learns from answers how many tokens a byte makes.</summary>
public sealed class PromptReader
{
    private const double Memory = 0.9, PriorBytes = 4000, PriorTokens = 1000;
    private readonly Lock _lock = new();
    private double _bytes = PriorBytes, _tokens = PriorTokens;

    /// <summary>The prompt of a request.</summary>
    public PromptTokens Read(RequestEnvelope envelope, ReadOnlyMemory<byte> body)
    {
        if (envelope.Tokens is { } tokens) return PromptTokens.Of(tokens);
        lock (_lock) return PromptTokens.OfText(envelope.Prompt.Span, _tokens / _bytes);
    }

    /// <summary>An answer told how many tokens the prompt had.</summary>
    public void Learn(PromptTokens prompt, int actualTokens)
    {
        if (prompt.AreTokens || prompt.Ids.Length == 0 || actualTokens <= 0) return;
        lock (_lock) (_bytes, _tokens) = (_bytes * Memory + prompt.Ids.Length * 4.0, _tokens * Memory + actualTokens);
    }
}

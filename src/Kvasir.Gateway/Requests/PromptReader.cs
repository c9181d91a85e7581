using Kvasir.Gateway.Fleet;

namespace Kvasir.Gateway.Requests;

/// <summary>
/// Turns requests into prompts: tokens where workers' events must be matched and a worker says them, else text. Learns
/// from answers how many tokens a byte makes.
/// </summary>
public sealed class PromptReader(WorkerFleet fleet, Func<Worker, bool> publishes, RemoteTokenizer tokenizer)
{
    private const double Memory = 0.9, PriorBytes = 4000, PriorTokens = 1000;
    private readonly Lock _lock = new();
    private double _bytes = PriorBytes, _tokens = PriorTokens;

    /// <summary>The prompt of a request.</summary>
    public async ValueTask<PromptTokens> ReadAsync(RequestEnvelope envelope, ReadOnlyMemory<byte> body, CancellationToken cancel) =>
        (await TokensAsync(envelope, body, cancel)).For(envelope.Model, envelope.CacheSalt);

    /// <summary>About how many tokens a request's prompt has, without asking anybody.</summary>
    public double Estimate(RequestEnvelope envelope)
    {
        lock (_lock) return envelope.Tokens?.Length ?? (envelope.Prompt.Length * _tokens / _bytes);
    }

    /// <summary>An answer told how many tokens the prompt had.</summary>
    public void Learn(PromptTokens prompt, int actualTokens)
    {
        if (prompt.AreTokens || prompt.Ids.Length == 0 || actualTokens <= 0) return;
        lock (_lock) (_bytes, _tokens) = (_bytes * Memory + prompt.Ids.Length * 4.0, _tokens * Memory + actualTokens);
    }

    private async ValueTask<PromptTokens> TokensAsync(RequestEnvelope envelope, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        if (envelope.Tokens is { } tokens) return PromptTokens.Of(tokens);
        if (envelope.IsTokenizable && Oracle(envelope) is { } worker && await tokenizer.TokenizeAsync(worker, envelope, body, cancel) is { Length: > 0 } told)
            return PromptTokens.Of(told);
        lock (_lock) return PromptTokens.OfText(envelope.Prompt.Span, _tokens / _bytes);
    }

    /// <summary>The least busy of those that can say a model's tokens, where somebody's events need them.</summary>
    private Worker? Oracle(RequestEnvelope envelope)
    {
        Worker? best = null;
        var isNeeded = false;
        foreach (var worker in fleet.Workers)
        {
            if (!worker.TakesRequests || !worker.Serves(envelope.Model)) continue;
            isNeeded |= publishes(worker);
            var isAble = worker.Adapter.TokenizePath is not null && (!envelope.IsChat || worker.Adapter.TokenizesMessages);
            if (isAble && (best is null || worker.Load.InFlight < best.Load.InFlight)) best = worker;
        }
        return isNeeded ? best : null;
    }
}

using Kvasir.Adapters.Metrics;

namespace Kvasir.Adapters.LlamaCpp;

/// <summary>llama.cpp's server. Metrics need <c>--metrics</c>; it tells neither cache events nor the cache's use.</summary>
internal sealed class LlamaCppAdapter : EngineAdapter
{
    public override EngineKind Kind => EngineKind.LlamaCpp;

    public override IReadOnlyList<string> Names => ["llama.cpp", "llamacpp", "llama-server"];

    public override string TokenizePath => "/tokenize";

    public override string TokenizedField => "content";

    public override EngineReading Read(PrometheusSamples samples)
    {
        var cached = samples.Sum("llamacpp:prompt_tokens_cached_total");
        return new EngineReading
        {
            Running = samples.Sum("llamacpp:requests_processing"),
            Waiting = samples.Sum("llamacpp:requests_deferred"),
            // Slots at work and requests that wait for one.
            Unfinished = samples.Sum("llamacpp:requests_processing") + samples.Sum("llamacpp:requests_deferred"),
            PrefixHitTokens = cached,
            PrefixQueryTokens = cached + samples.Sum("llamacpp:prompt_tokens_total"),
        };
    }
}

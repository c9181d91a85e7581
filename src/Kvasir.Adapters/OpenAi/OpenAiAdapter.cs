using Kvasir.Adapters.Metrics;

namespace Kvasir.Adapters.OpenAi;

/// <summary>Any endpoint that speaks OpenAI's API: all that may be assumed is its list of models.</summary>
internal sealed class OpenAiAdapter : EngineAdapter
{
    public override EngineKind Kind => EngineKind.OpenAi;

    public override IReadOnlyList<string> Names => ["openai"];

    public override string ReadyPath => "/v1/models";

    public override Uri? MetricsAddress(Uri worker) => null;

    public override EngineReading Read(PrometheusSamples samples) => new();
}

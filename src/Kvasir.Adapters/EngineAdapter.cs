using System.Collections.Immutable;
using Kvasir.Adapters.LlamaCpp;
using Kvasir.Adapters.Max;
using Kvasir.Adapters.Metrics;
using Kvasir.Adapters.OpenAi;
using Kvasir.Adapters.Own;
using Kvasir.Adapters.SgLang;
using Kvasir.Adapters.TensorRtLlm;
using Kvasir.Adapters.Vllm;

namespace Kvasir.Adapters;

/// <summary>How an engine tells what enters and leaves its KV cache.</summary>
public enum KvEventWire
{
    /// <summary>It publishes over ZeroMQ.</summary>
    ZeroMq,
    /// <summary>It gives what happened since the last time to whoever asks over HTTP, once.</summary>
    Http,
}

/// <summary>What one must know to probe, read and ask an engine over HTTP. Adapters hold no state; what they cannot know is null.</summary>
public abstract class EngineAdapter
{
    private static readonly EngineAdapter[] All =
    [
        new KvasirAdapter(), new VllmAdapter(), new SgLangAdapter(), new TensorRtLlmAdapter(), new MaxAdapter(), new LlamaCppAdapter(), new OpenAiAdapter(),
    ];

    /// <summary>The adapter of an engine.</summary>
    public static EngineAdapter Of(EngineKind kind) => All.Single(adapter => adapter.Kind == kind);

    /// <summary>The adapter that <paramref name="name"/> names (<c>vllm</c>, <c>llama.cpp</c> …), or null.</summary>
    public static EngineAdapter? Named(string name) => All.FirstOrDefault(adapter => adapter.Names.Contains(name, StringComparer.OrdinalIgnoreCase));

    /// <summary>The first name of every engine.</summary>
    public static IEnumerable<string> KnownNames => All.Select(adapter => adapter.Names[0]);

    /// <summary>The engine.</summary>
    public abstract EngineKind Kind { get; }

    /// <summary>Names by which users may call it; the first is the one that is printed.</summary>
    public abstract IReadOnlyList<string> Names { get; }

    /// <summary>Path that answers 200 when the worker takes requests.</summary>
    public virtual string ReadyPath => "/health";

    /// <summary>How cache events can be had, the usual way first; empty where the engine tells none.</summary>
    public virtual ImmutableArray<KvEventWire> Events => [];

    /// <summary>Path that answers with cache events, where they are asked for over HTTP.</summary>
    public virtual string? EventPath => null;

    /// <summary>Path that turns text into token ids, or null.</summary>
    public virtual string? TokenizePath => null;

    /// <summary>What the text is called in a request to <see cref="TokenizePath"/>.</summary>
    public virtual string TokenizedField => "prompt";

    /// <summary>Whether answers of <see cref="TokenizePath"/> render chat messages too.</summary>
    public virtual bool TokenizesMessages => false;

    /// <summary>What cache events say of a block whose request carried a salt.</summary>
    public virtual string SaltInEvents(string salt) => salt;

    /// <summary>Where the engine's metrics are, or null.</summary>
    public virtual Uri? MetricsAddress(Uri worker) => new(worker, "/metrics");

    /// <summary>What the metrics say. No engine has a route that drains it: <see cref="EngineReading.Unfinished"/> tells when it is empty.</summary>
    public abstract EngineReading Read(PrometheusSamples samples);
}

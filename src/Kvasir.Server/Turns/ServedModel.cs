using System.Collections.Immutable;
using Kvasir.Engine;

namespace Kvasir.Server.Turns;

/// <summary>A model that is served: the names it answers to and what runs it.</summary>
public sealed class ServedModel
{
    private readonly KeyValuePair<string, object?>[] labels;

    internal ServedModel(ImmutableArray<string> names, KvasirEngine engine, bool isOneOfSeveral)
    {
        (Names, Engine) = (names, engine);
        // One model alone needs no label: its figures are the server's.
        labels = isOneOfSeveral ? [new("model_name", names[0])] : [];
    }

    /// <summary>Names it answers to, its own first.</summary>
    public ImmutableArray<string> Names { get; }

    /// <summary>Its own name.</summary>
    public string Name => Names[0];

    /// <summary>What runs it.</summary>
    public KvasirEngine Engine { get; }

    /// <summary>"awake" or "asleep".</summary>
    internal string State => Engine.Engine.Sleeps == SleepLevel.Awake ? "awake" : "asleep";

    /// <summary>What tells its metrics from those of others: vLLM's <c>model_name</c>, where there are others.</summary>
    internal ReadOnlySpan<KeyValuePair<string, object?>> Labels => labels;
}

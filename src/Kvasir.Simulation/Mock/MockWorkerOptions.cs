namespace Kvasir.Simulation.Mock;

/// <summary>What a mock worker pretends to be, and which faults it shows.</summary>
public sealed record MockWorkerOptions
{
    /// <summary>TCP port on this machine; 0 takes a free one.</summary>
    public int Port { get; init; }
    /// <summary>Whether HTTP, metrics and events are SGLang's; vLLM's otherwise.</summary>
    public bool SgLang { get; init; }
    /// <summary>Port of cache events; null publishes none.</summary>
    public int? EventPort { get; init; }
    /// <summary>Port where events that were published may be asked for again; null answers nowhere.</summary>
    public int? ReplayPort { get; init; }
    /// <summary>Messages of cache events that are kept to be asked for.</summary>
    public int ReplayMessages { get; init; } = 10_000;
    /// <summary>The model's name.</summary>
    public string Model { get; init; } = "mock";
    /// <summary>Prompt tokens computed per second, one prompt at a time.</summary>
    public double PrefillTokensPerSecond { get; init; } = 20_000;
    /// <summary>Time between two tokens of an answer.</summary>
    public TimeSpan TokenTime { get; init; } = TimeSpan.FromMilliseconds(5);
    /// <summary>Tokens of the KV cache.</summary>
    public int CapacityTokens { get; init; } = 1 << 20;
    /// <summary>Tokens per block.</summary>
    public int BlockSize { get; init; } = 16;
    /// <summary>Share of requests answered 500.</summary>
    public double ErrorShare { get; set; }
    /// <summary>Share of requests that are never answered.</summary>
    public double HangShare { get; set; }
    /// <summary>Share of streams that break off after their first token.</summary>
    public double BreakShare { get; set; }
    /// <summary>Share of streams that say nothing more after their first token, and do not end.</summary>
    public double StallShare { get; set; }
    /// <summary>Share of event messages that are lost.</summary>
    public double EventLossShare { get; set; }
    /// <summary>Share of event messages that are sent twice.</summary>
    public double EventDuplicateShare { get; set; }
    /// <summary>Share of event messages that come after the next one.</summary>
    public double EventReorderShare { get; set; }
    /// <summary>Share of event messages in a form that nobody knows.</summary>
    public double EventGarbleShare { get; set; }
    /// <summary>How late event messages are sent.</summary>
    public TimeSpan EventDelay { get; set; }
    /// <summary>Tokens per block that events tell of; null for the true number. The cache finds whole blocks of <see cref="BlockSize"/> all the same.</summary>
    public int? EventBlockSize { get; init; }
    /// <summary>Whether every request is cached under a salt of its own that events do not tell of.</summary>
    public bool HidesSalt { get; set; }
    /// <summary>Whether the prompt that is computed and cached begins with tokens that <c>/tokenize</c> leaves out, as with another chat template.</summary>
    public bool HidesTemplate { get; set; }
    /// <summary>Seed of the faults.</summary>
    public int Seed { get; init; } = 1;
}

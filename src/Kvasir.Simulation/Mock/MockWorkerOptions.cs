namespace Kvasir.Simulation.Mock;

/// <summary>What a mock worker pretends to be, and which faults it shows.</summary>
public sealed record MockWorkerOptions
{
    /// <summary>TCP port on this machine; 0 takes a free one.</summary>
    public int Port { get; init; }
    /// <summary>Whether metrics are SGLang's; vLLM's otherwise.</summary>
    public bool SgLang { get; init; }
    /// <summary>Port of cache events; null publishes none.</summary>
    public int? EventPort { get; init; }
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
    /// <summary>Share of event messages that are lost.</summary>
    public double EventLossShare { get; set; }
    /// <summary>Share of event messages that are sent twice.</summary>
    public double EventDuplicateShare { get; set; }
    /// <summary>Share of event messages that come after the next one.</summary>
    public double EventReorderShare { get; set; }
    /// <summary>How late event messages are sent.</summary>
    public TimeSpan EventDelay { get; set; }
    /// <summary>Seed of the faults.</summary>
    public int Seed { get; init; } = 1;
}

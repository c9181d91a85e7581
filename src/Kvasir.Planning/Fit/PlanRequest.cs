using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Hardware;

namespace Kvasir.Planning.Fit;

/// <summary>What shall run where.</summary>
public sealed record PlanRequest
{
    /// <summary>The model.</summary>
    public required ModelSpec Model { get; init; }
    /// <summary>The model's name or path as engines take it.</summary>
    public required string ModelName { get; init; }
    /// <summary>The kind of GPU.</summary>
    public required Gpu Gpu { get; init; }
    /// <summary>How many of them there are; a split may be searched for among them.</summary>
    public int Gpus { get; init; } = 1;
    /// <summary>The engine's rules.</summary>
    public required EngineRules Engine { get; init; }
    /// <summary>How it shall be served.</summary>
    public required ServingOptions Options { get; init; }
    /// <summary>Requests of the full context that shall run together.</summary>
    public int Concurrency { get; init; } = 1;
    /// <summary>Bytes that other processes hold on each GPU.</summary>
    public long UsedBytes { get; init; }

    /// <summary>Bytes that are free when an engine has made its context.</summary>
    public long FreeAtStart => Math.Max(0, Gpu.Bytes - Gpu.ContextBytes - UsedBytes);

    /// <summary>The GPU as the engines' rules see it.</summary>
    public Device Device => new(Gpu.Name, Gpu.Bytes)
    {
        ComputeCapability = Gpu.CudaCapability,
        ToolBytes = Gpu.ToolBytes ?? Gpu.Bytes,
        // Bridges between consumer cards carry no NVLS.
        FastLink = Gpu.LinkBandwidth >= FastLinkBytesPerSecond,
        Unified = Gpu.Unified,
        UsedBytes = UsedBytes,
        ContextBytes = Gpu.ContextBytes,
    };

    private const double FastLinkBytesPerSecond = 200e9;
}

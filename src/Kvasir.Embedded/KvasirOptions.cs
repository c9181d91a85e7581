using Kvasir.Engine;

namespace Kvasir;

/// <summary>How a model is loaded and run.</summary>
public sealed record KvasirOptions
{
    /// <summary>Memory, context, threads …</summary>
    public EngineOptions Engine { get; init; } = new();
    /// <summary>The name the model goes by; null takes the file's.</summary>
    public string? ModelName { get; init; }
    /// <summary>A Jinja chat template in place of the checkpoint's.</summary>
    public string? ChatTemplate { get; init; }
    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

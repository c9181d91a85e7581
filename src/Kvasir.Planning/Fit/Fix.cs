using Kvasir.Planning.Engines;

namespace Kvasir.Planning.Fit;

/// <summary>Something that would make a model fit, or bring it nearer.</summary>
/// <param name="What">What to do, as a sentence would say it: "keep the KV cache in fp8".</param>
/// <param name="SavesBytes">Bytes that each GPU needs less; negative where it only raises what may be used.</param>
/// <param name="Gate">What the hardware or the checkpoint must offer, or "".</param>
/// <param name="GateMet">Whether it does.</param>
/// <param name="Fits">Whether this alone (or this combination) suffices.</param>
/// <param name="Options">The options with the fix applied.</param>
public sealed record Fix(string What, long SavesBytes, string Gate, bool GateMet, bool Fits, ServingOptions Options)
{
    /// <summary>The engine's command with the fix; "" where the fix is another checkpoint.</summary>
    public string Command { get; init; } = "";
}

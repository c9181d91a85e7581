namespace Kvasir.Planning.Tests.Accuracy;

/// <summary>One figure of a log beside the plan's.</summary>
/// <param name="Log">The log.</param>
/// <param name="Kind">What is compared.</param>
/// <param name="Logged">The engine's figure.</param>
/// <param name="Planned">The plan's figure.</param>
/// <param name="Rounding">How far the printed figure may be from the real one, as a fraction.</param>
internal sealed record Comparison(EngineLog Log, string Kind, double Logged, double Planned, double Rounding = 0)
{
    private const double Gibibyte = 1L << 30, Mebibyte = 1 << 20;

    /// <summary>Signed error as a fraction, less what rounding explains.</summary>
    public double Error
    {
        get
        {
            var error = (Planned - Logged) / Logged;
            return Math.Sign(error) * Math.Max(0, Math.Abs(error) - Rounding);
        }
    }

    /// <summary>Bytes per token: the tokens that the logged pool holds by the plan's layout, against those the engine printed.</summary>
    public static Comparison? BytesPerToken(EngineLog log)
    {
        if (log.AnyDevice is not { } plan || log.FlagsUnknown) return null;
        if (log.Number("kv_mib") is { } kv && plan.FixedPool is { } pool) return new(log, "KV bytes per token", kv, pool / Mebibyte);
        if (log.Number("kv_gib_per_gpu") is not { } gib || log.Number("kv_tokens") is not { } tokens || gib <= 0 || log.Record.TryGetProperty("approx", out _)) return null;
        // A pool for tokens alone is printed beside one for states; only vLLM's holds both.
        var alone = plan.Layout is Kvasir.Planning.Engines.PagedKvLayout paged ? paged with { StateShare = 0 } : plan.Layout;
        var planned = alone.CapacityTokens((long)(gib * Gibibyte), plan.Context);
        return planned == 0 ? null : new(log, "KV bytes per token", 1 / tokens, 1.0 / planned, (log.Engine == "sglang" ? 0.01 : 0.005) / gib);
    }

    /// <summary>Weights per GPU.</summary>
    public static Comparison? Weights(EngineLog log)
    {
        if (log.AnyDevice is not { } plan || log.Quantization is null) return null;
        if (log.Engine == "llama.cpp")
            return log.Number("weights_mib") is { } mib ? new(log, "weights", mib, plan.Weights.Likely / Mebibyte) : null;
        return log.Number("weights_gib_per_gpu") is { } gib ? new(log, "weights", gib, plan.Weights.Likely / Gibibyte) : null;
    }

    /// <summary>Tokens of cache, from model, device and flags alone; grades A and B, text models, starts that succeeded.</summary>
    public static Comparison? Capacity(EngineLog log)
    {
        if (log.Quality == "C" || log.Multimodal || log.StartFailed || log.Quantization is null || log.Planned is not { } plan || log.Engine == "llama.cpp") return null;
        if (log.Record.TryGetProperty("approx", out _)) return null;
        // Before chunked prefill the profiling run was as long as the context; a log that does not say it cannot be planned.
        if (log.Options.Context is null && (log.Options.Version?.Contains("V0", StringComparison.Ordinal) ?? false)) return null;
        double? tokens = log.Number("kv_tokens") ?? (log.Number("kv_gib_per_gpu") is { } gib and > 0 ? plan.Layout.CapacityTokens((long)(gib * Gibibyte), plan.Context) : null);
        return tokens is null ? null : new(log, "KV capacity", tokens.Value, plan.Layout.CapacityTokens(plan.Pool, plan.Context));
    }

    /// <summary>Whether the plan says of the start what happened.</summary>
    public static (EngineLog Log, bool Started, bool Fits)? Outcome(EngineLog log) =>
        log.Planned is { } plan && log.Quantization is not null && log.Engine != "llama.cpp" ? (log, !log.StartFailed, log.Options.Context is null && !log.StartFailed ? plan.Pool > 0 : plan.Starts) : null;
}

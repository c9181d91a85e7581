using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;
using Kvasir.Planning.KvCache;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Fit;

/// <summary>Tries what could help, least harm to quality first; where nothing alone suffices, one after another together.</summary>
internal static class FixSearch
{
    private const int MostGpus = 64;
    private const double MostUtilization = 0.95;

    private sealed record Candidate(string What, Func<PlanRequest, PlanRequest?> Apply, string Gate = "", bool GateMet = true, bool AnotherCheckpoint = false);

    public static IEnumerable<Fix> For(PlanRequest request, MemoryEstimate estimate)
    {
        var candidates = Candidates(request, estimate).ToList();
        var fixes = new List<Fix>();
        foreach (var candidate in candidates)
            if (candidate.Apply(request) is { } changed && Try(request, estimate, changed, candidate.What, candidate.Gate, candidate.GateMet, candidate.AnotherCheckpoint) is { } fix)
                fixes.Add(fix);
        if (fixes.Any(fix => fix is { Fits: true, GateMet: true })) return fixes;
        if (Together(request, estimate, candidates) is { } combined) fixes.Add(combined);
        return fixes;
    }

    /// <summary>Adds one after another, whose gates are met, until it fits; null where even all do not suffice.</summary>
    private static Fix? Together(PlanRequest request, MemoryEstimate estimate, List<Candidate> candidates)
    {
        var current = request;
        var done = new List<string>();
        var gates = new List<string>();
        var another = false;
        foreach (var candidate in candidates.Where(candidate => candidate.GateMet))
        {
            if (candidate.Apply(current) is not { } next || MemoryPlanner.Obstacle(next) is not null) continue;
            current = next;
            done.Add(candidate.What);
            if (candidate.Gate.Length > 0) gates.Add(candidate.Gate);
            another |= candidate.AnotherCheckpoint;
            if (done.Count > 1 && MemoryPlanner.Fits(current)) return Try(request, estimate, current, string.Join(", and ", done), string.Join("; ", gates), true, another);
        }
        return null;
    }

    private static Fix? Try(PlanRequest request, MemoryEstimate before, PlanRequest changed, string what, string gate, bool met, bool anotherCheckpoint)
    {
        if (MemoryPlanner.Obstacle(changed) is not null) return null;
        var after = changed.Engine.Estimate(changed.Model, changed.Device, changed.Options);
        var saves = Needed(before, request.Concurrency) - Needed(after, changed.Concurrency);
        var fits = MemoryPlanner.Fits(changed);
        if (!fits && saves <= 0) return null;
        var command = anotherCheckpoint ? "" : MemoryPlanner.Command(changed);
        return new Fix(what, saves, gate, met, fits, changed.Options) { Command = command };
    }

    private static long Needed(MemoryEstimate estimate, int concurrency) => estimate.Fixed + (estimate.FixedPool ?? estimate.ContextBytes * concurrency);

    private static IEnumerable<Candidate> Candidates(PlanRequest request, MemoryEstimate estimate)
    {
        double capability = request.Gpu.CudaCapability;
        var nvidia = request.Gpu.Vendor is "NVIDIA" or "";
        var gguf = request.Engine.Plain is LlamaCppRules;
        // Rounded down to what a flag shows.
        var share = Math.Floor(100.0 * request.FreeAtStart / request.Gpu.Bytes) / 100;
        if (estimate.RequiredFree > request.FreeAtStart && share > 0)
            yield return With(string.Create(CultureInfo.InvariantCulture, $"let the engine use {share * 100:0} % of the GPU, which is free"), o => o with { Utilization = share });
        if (!gguf && estimate.MaxSequences > Math.Max(16, request.Concurrency))
            yield return With($"run at most {Math.Max(16, request.Concurrency)} sequences together", o => o with { MaxSequences = Math.Max(16, request.Concurrency) });
        if (estimate.MaxBatchedTokens > 2048)
            yield return With("compute at most 2048 tokens per step", o => o with { MaxBatchedTokens = 2048 });
        if (gguf && estimate.MaxBatchedTokens > 128)
            yield return With("compute at most 128 tokens per step", o => o with { MaxBatchedTokens = 128 });
        if (request.Concurrency > 1 && !gguf)
        {
            var most = (int)Math.Min(int.MaxValue, estimate.Layout.Concurrency(Math.Max(0, estimate.Budget - estimate.Fixed), estimate.Context));
            if (most >= 1 && most < request.Concurrency) yield return new($"serve {most} requests of this length together", r => r with { Concurrency = Math.Min(r.Concurrency, most) });
        }
        var longest = estimate.Layout.MaxContext(Math.Max(0, estimate.Budget - estimate.Fixed) / (estimate.FixedPool is null ? request.Concurrency : 1), estimate.Context - 1) / (estimate.FixedPool is null ? 1 : estimate.MaxSequences) / 256 * 256;
        if (longest >= 512) yield return With($"shorten the context to {longest} tokens", o => o with { Context = longest });
        if (request.Engine.Plain is VllmRules or SgLangRules && !(request.Options.Utilization >= MostUtilization))
            yield return With("let the engine use 95 % of the GPU", o => o with { Utilization = MostUtilization });
        if (request.Engine.Plain is VllmRules && estimate is { GraphsInside: true } && !request.Options.Eager)
            yield return With("capture no CUDA graphs (decoding becomes slower)", o => o with { Eager = true });
        if (request.Model.EncoderParameters > 0 && !request.Options.TextOnly && request.Engine.Plain is VllmRules)
            yield return With("leave the vision tower out", o => o with { TextOnly = true });
        if (request.Options.KvType.BytesPerElement > 1)
        {
            yield return gguf || request.Engine.Plain is KvasirRules
                ? With("keep the KV cache in q8_0", o => o with { KvType = KvType.Parse("q8_0")!, ValueKvType = null }, gguf ? "flash attention" : "")
                : With("keep the KV cache in fp8", o => o with { KvType = KvType.Fp8 }, "compute capability 8.0 (8.9 without conversion)", !nvidia || capability is 0 or >= 8);
        }
        foreach (var candidate in Quantizations(request, gguf, capability, nvidia, four: false)) yield return candidate;
        foreach (var candidate in MoreGpus(request)) yield return candidate;
        foreach (var candidate in Quantizations(request, gguf, capability, nvidia, four: true)) yield return candidate;
        var short_ = Needed(estimate, request.Concurrency) - estimate.Budget;
        if (short_ > 0 && request.Engine.Plain is VllmRules or SgLangRules or LlamaCppRules)
        {
            var bytes = (short_ + (1L << 30)) >> 30 << 30;
            if (bytes < estimate.Weights.Likely) yield return With($"keep {new ByteSize(bytes)} of the weights in host memory (slow: they cross PCIe at every step)", o => o with { OffloadBytes = o.OffloadBytes + bytes }, $"{new ByteSize(bytes)} of free host memory per GPU");
        }
    }

    private static IEnumerable<Candidate> Quantizations(PlanRequest request, bool gguf, double capability, bool nvidia, bool four)
    {
        var bits = BitsPerWeight(request.Options.Quantization);
        if (gguf)
        {
            string[] recipes = four ? ["Q4_K_M", "IQ4_XS", "Q3_K_M", "Q2_K"] : ["Q8_0", "Q6_K", "Q5_K_M"];
            foreach (var recipe in recipes)
                if (GgufRecipe.Find(recipe)!.Base is var type && type.BlockBytes * 8.0 / type.Length < bits - 0.5)
                    yield return Quantized(request, recipe, $"take the {recipe} file", "a file of that type");
            yield break;
        }
        if (!four && bits > 9)
        {
            yield return With("quantize the weights to fp8 while loading", o => o with { Quantization = Quantization.Parse("fp8-channel", request.Model)! with { LoadFlag = "fp8" }, CheckpointBytes = null },
                "compute capability 8.9 (8.0 for weights alone)", !nvidia || capability is 0 or >= 8);
        }
        if (four && bits > 5)
        {
            yield return Quantized(request, "awq", "take a 4-bit checkpoint (AWQ or GPTQ)", "compute capability 7.5; a checkpoint of that type", !nvidia || capability is 0 or >= 7.5);
            yield return Quantized(request, "nvfp4", "take an NVFP4 checkpoint", "compute capability 10.0; a checkpoint of that type", nvidia && capability >= 10);
        }
    }

    private static IEnumerable<Candidate> MoreGpus(PlanRequest request)
    {
        var now = request.Options.Parallelism.Gpus;
        for (var gpus = now * 2; gpus <= MostGpus; gpus *= 2)
        {
            if (request.Gpu.MigProfile is not null) yield break;
            var split = SplitSearch.Best(request with { Gpus = gpus }, gpus);
            if (split is null) continue;
            var what = $"use {gpus} GPUs" + (split.Tensor > 1 ? $", tensor parallel {split.Tensor}" : "") + (split.Pipeline > 1 ? $", pipeline parallel {split.Pipeline}" : "") + (split.Experts ? ", expert parallel" : "");
            yield return new(what, r => r with { Gpus = gpus, Options = r.Options with { Parallelism = split } }, $"{gpus} of these GPUs in one {(gpus <= 8 ? "machine" : "cluster")}");
            if (MemoryPlanner.Fits(request with { Gpus = gpus, Options = request.Options with { Parallelism = split } })) yield break;
        }
    }

    private static double BitsPerWeight(Quantization quantization) =>
        quantization.Gguf is { Base: var type } ? type.BlockBytes * 8.0 / type.Length : quantization.Format.BitsPerWeight();

    private static Candidate Quantized(PlanRequest request, string name, string what, string gate, bool met = true) =>
        new(what, r => Quantization.Parse(name, request.Model) is { } quantization ? r with { Options = r.Options with { Quantization = quantization, CheckpointBytes = null } } : null, gate, met, AnotherCheckpoint: true);

    private static Candidate With(string what, Func<ServingOptions, ServingOptions> change, string gate = "", bool met = true) =>
        new(what, request => request with { Options = change(request.Options) }, gate, met);
}

using System.Collections.Immutable;
using Kvasir.Planning.KvCache;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Engines;

/// <summary>How a model is to be served; what is null is the engine's own default.</summary>
public sealed record ServingOptions
{
    /// <summary>The engine's version, "0.11.0"; the newest known when null.</summary>
    public string? Version { get; init; }
    /// <summary>How the model is spread over GPUs.</summary>
    public Parallelism Parallelism { get; init; } = new();
    /// <summary>How weights are stored.</summary>
    public Quantization Quantization { get; init; } = Quantization.None;
    /// <summary>How keys and values are stored.</summary>
    public KvType KvType { get; init; } = KvType.Bf16;
    /// <summary>How values are stored where keys are stored otherwise; null where both are alike.</summary>
    public KvType? ValueKvType { get; init; }
    /// <summary>Longest request in tokens, prompt and answer together; the model's own limit when null.</summary>
    public long? Context { get; init; }
    /// <summary>Most requests that run together.</summary>
    public int? MaxSequences { get; init; }
    /// <summary>Most tokens that one step computes (vLLM's max-num-batched-tokens, SGLang's chunked-prefill-size, llama.cpp's ubatch).</summary>
    public int? MaxBatchedTokens { get; init; }
    /// <summary>Share of the device the engine may take (gpu-memory-utilization, mem-fraction-static, free_gpu_memory_fraction).</summary>
    public double? Utilization { get; init; }
    /// <summary>Tokens per cache block.</summary>
    public int? BlockSize { get; init; }
    /// <summary>No CUDA graphs.</summary>
    public bool Eager { get; init; }
    /// <summary>Leave vision and audio towers out.</summary>
    public bool TextOnly { get; init; }
    /// <summary>Most pictures per request; 1 when null.</summary>
    public int? MaxImages { get; init; }
    /// <summary>Most videos per request; 1 when null.</summary>
    public int? MaxVideos { get; init; }
    /// <summary>Latent attention keeps keys and values of every head (llama.cpp before 2025-05, ik_llama.cpp's -mla 0).</summary>
    public bool ExpandedLatent { get; init; }
    /// <summary>Load prediction layers (MTP) for speculative decoding.</summary>
    public bool Speculative { get; init; }
    /// <summary>Flash attention (llama.cpp).</summary>
    public bool FlashAttention { get; init; } = true;
    /// <summary>Sliding layers keep the whole context (llama.cpp's --swa-full).</summary>
    public bool FullWindows { get; init; }
    /// <summary>Bytes of weights per GPU kept in host memory.</summary>
    public long OffloadBytes { get; init; }
    /// <summary>The matrices as the checkpoint stores them, for engines that pack each; from shapes when null.</summary>
    public ImmutableArray<StoredMatrix>? Matrices { get; init; }
    /// <summary>Bytes of all tensors to be loaded as the checkpoint's headers have them; computed from the shapes when null.</summary>
    public long? CheckpointBytes { get; init; }
}

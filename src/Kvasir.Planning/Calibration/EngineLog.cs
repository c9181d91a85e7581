namespace Kvasir.Planning.Calibration;

/// <summary>What an engine printed while it started; what it did not print is null. Of several ranks, the fullest.</summary>
public sealed record EngineLog
{
    /// <summary>"vllm", "sglang", "trtllm", "llama.cpp".</summary>
    public required string Engine { get; init; }
    /// <summary>"0.11.0".</summary>
    public string? Version { get; init; }
    /// <summary>Name or path of the model as it was given.</summary>
    public string? Model { get; init; }
    /// <summary>Ranks of tensor parallelism.</summary>
    public int? Tensor { get; init; }
    /// <summary>Stages of pipeline parallelism.</summary>
    public int? Pipeline { get; init; }
    /// <summary>Longest request in tokens.</summary>
    public long? Context { get; init; }
    /// <summary>Most requests together.</summary>
    public int? MaxSequences { get; init; }
    /// <summary>Most tokens per step.</summary>
    public int? MaxBatchedTokens { get; init; }
    /// <summary>Share of the device that the engine took.</summary>
    public double? Utilization { get; init; }
    /// <summary>How keys and values are stored, the engine's name.</summary>
    public string? KvType { get; init; }
    /// <summary>No CUDA graphs.</summary>
    public bool Eager { get; init; }
    /// <summary>Bytes that the runtime reports of the device.</summary>
    public long? DeviceBytes { get; init; }
    /// <summary>Bytes of weights per GPU.</summary>
    public long? WeightBytes { get; init; }
    /// <summary>Peak of a step's activations.</summary>
    public long? ActivationBytes { get; init; }
    /// <summary>What collectives and libraries took beside the framework.</summary>
    public long? OverheadBytes { get; init; }
    /// <summary>What captured graphs took; of llama.cpp the compute buffer.</summary>
    public long? GraphBytes { get; init; }
    /// <summary>Bytes for keys, values and states; negative where too little was left.</summary>
    public long? PoolBytes { get; init; }
    /// <summary>Tokens that the pool holds.</summary>
    public long? PoolTokens { get; init; }
    /// <summary>The line that says that memory did not suffice; null where the start succeeded or the log does not tell.</summary>
    public string? Failure { get; init; }
}

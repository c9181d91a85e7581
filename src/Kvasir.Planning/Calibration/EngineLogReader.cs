namespace Kvasir.Planning.Calibration;

/// <summary>Reads an engine's start-up log, whichever engine it is.</summary>
public static class EngineLogReader
{
    /// <summary>The engine that the log speaks of by its lines; null where no line is known.</summary>
    public static string? Engine(string text)
    {
        var log = new LogText(text);
        if (log.Has(@"max_total_num_tokens|Load weight (?:begin|end)|KV Cache is allocated|sglang")) return "sglang";
        if (log.Has(@"paged KV cache|TensorRT-LLM|k/v cache\.|tokens per block")) return "trtllm";
        if (log.Has(@"buffer size\s*=|llama_model_loader|llama_context|llama_kv_cache|KV self size")) return "llama.cpp";
        return log.Has(@"vllm|Available KV cache memory|GPU KV cache size|# ?(?:GPU|CUDA|ROCM) blocks|model weights take|Model loading took|Loading model weights took") ? "vllm" : null;
    }

    /// <summary>Reads the log.</summary>
    /// <param name="text">The log, or the part of it that tells of the start.</param>
    /// <param name="engine">"vllm", "sglang", "trtllm", "llama.cpp"; recognized by its lines when null.</param>
    /// <exception cref="CalibrationException">The engine cannot be recognized or is not known.</exception>
    public static EngineLog Read(string text, string? engine = null) => (engine ?? Engine(text)) switch
    {
        "vllm" => VllmLog.Read(new LogText(text)),
        "sglang" => SgLangLog.Read(new LogText(text)),
        "trtllm" or "tensorrt-llm" => TensorRtLlmLog.Read(new LogText(text)),
        "llama.cpp" => LlamaCppLog.Read(new LogText(text)),
        null => throw new CalibrationException("The log has no line of vLLM's, SGLang's, TensorRT-LLM's or llama.cpp's start that is known. Give the log from the engine's first line on, and say whose it is with --engine."),
        var other => throw new CalibrationException($"Logs of '{other}' are not read; those of vllm, sglang, trtllm and llama.cpp are."),
    };
}

/// <summary>A log or a file of corrections that cannot be used; the message says what to change.</summary>
public sealed class CalibrationException : Exception
{
    /// <summary>Creates the error.</summary>
    public CalibrationException(string message, Exception? inner = null) : base(message, inner) { }
}

namespace Kvasir.Adapters;

/// <summary>An engine that a worker may run.</summary>
public enum EngineKind
{
    /// <summary>Kvasir's own server.</summary>
    Kvasir,
    /// <summary>vLLM.</summary>
    Vllm,
    /// <summary>SGLang.</summary>
    SgLang,
    /// <summary>TensorRT-LLM's <c>trtllm-serve</c>.</summary>
    TensorRtLlm,
    /// <summary>Modular MAX.</summary>
    Max,
    /// <summary>llama.cpp's server.</summary>
    LlamaCpp,
    /// <summary>Any other endpoint that speaks OpenAI's API.</summary>
    OpenAi,
}

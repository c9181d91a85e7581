namespace Kvasir.Server;

/// <summary>The server's routes.</summary>
internal static class Routes
{
    public const string ChatCompletions = "/v1/chat/completions";
    public const string Completions = "/v1/completions";
    public const string Models = "/v1/models";
    public const string Tokenize = "/tokenize";
    public const string Detokenize = "/detokenize";
    public const string Memory = "/v1/memory";
    public const string Kv = "/v1/kv";
    public const string Pin = "/v1/kv/pin";
    public const string Unpin = "/v1/kv/unpin";
    public const string Sleep = "/sleep";
    public const string WakeUp = "/wake_up";
    public const string IsSleeping = "/is_sleeping";
    public const string Health = "/health";
    public const string Ready = "/ready";
    public const string Metrics = "/metrics";
    public const string Status = "/";

    /// <summary>For the answer to an unknown URL.</summary>
    public const string Listing =
        $"POST {ChatCompletions}, POST {Completions}, GET {Models}, GET {Models}/{{id}}, POST {Tokenize}, POST {Detokenize}, "
        + $"GET {Memory}, GET {Kv}, DELETE {Kv}, POST {Pin}, POST {Unpin}, POST {Sleep}, POST {WakeUp}, GET {IsSleeping}, GET {Health}, GET {Ready}, GET {Metrics}, GET {Status}";
}

namespace Kvasir.Protocol.OpenAi;

/// <summary>Where on its way a request failed.</summary>
public enum FailureStage
{
    /// <summary>The connection, its headers, the route.</summary>
    Transport,
    /// <summary>The body: JSON, fields and their values.</summary>
    Parsing,
    /// <summary>Turning messages into tokens.</summary>
    Rendering,
    /// <summary>Finding a place in the queue and in memory.</summary>
    Admission,
    /// <summary>Making tokens.</summary>
    Generation,
}

/// <summary>Who can do something about a failure.</summary>
public enum FailureParty
{
    /// <summary>The one who sent the request.</summary>
    Client,
    /// <summary>Nobody for the moment: try again later.</summary>
    Load,
    /// <summary>The one who runs the server.</summary>
    Server,
}

/// <summary>What went wrong. Each kind has one row in <see cref="RequestFailure"/>'s table: stage, party, status, type, code.</summary>
public enum FailureKind
{
    /// <summary>The body is not JSON, or JSON of a hostile shape.</summary>
    InvalidJson,
    /// <summary>A field has a value of another type.</summary>
    InvalidType,
    /// <summary>A field's value is out of its range.</summary>
    InvalidValue,
    /// <summary>A field that must be there is missing.</summary>
    MissingField,
    /// <summary>A field of OpenAI's API that this server does not implement.</summary>
    Unsupported,
    /// <summary>The chat template refuses these messages.</summary>
    TemplateRefused,
    /// <summary>Prompt and answer are longer than the context.</summary>
    ContextExceeded,
    /// <summary>The request could not run in this server's memory even alone.</summary>
    NeverFits,
    /// <summary>No API key, or a wrong one.</summary>
    Unauthorized,
    /// <summary>A model that is not served here.</summary>
    ModelNotFound,
    /// <summary>A pin, prefix or tenant that is not in the KV cache.</summary>
    KvNotFound,
    /// <summary>A route that does not exist.</summary>
    RouteNotFound,
    /// <summary>A route that exists, with another method.</summary>
    MethodNotAllowed,
    /// <summary>The body is larger than the server reads.</summary>
    BodyTooLarge,
    /// <summary>The body is not declared as JSON.</summary>
    UnsupportedMediaType,
    /// <summary>Another malformed HTTP request.</summary>
    BadRequest,
    /// <summary>The queue is full.</summary>
    QueueFull,
    /// <summary>The tenant has used its tokens.</summary>
    TokensUsedUp,
    /// <summary>The server is about to stop.</summary>
    Draining,
    /// <summary>The model sleeps.</summary>
    Asleep,
    /// <summary>Requests run that would have to end before the model can sleep.</summary>
    Busy,
    /// <summary>The model is not loaded yet.</summary>
    Loading,
    /// <summary>A fault of the server's own.</summary>
    Internal,
}

/// <summary>
/// A request that cannot be answered, as a value: what went wrong, in one sentence, and the field that caused it.
/// Status, type and code of the OpenAI error body follow from <see cref="Kind"/> alone.
/// </summary>
/// <param name="Kind">What went wrong.</param>
/// <param name="Message">One sentence: the thing, the value, what was expected.</param>
/// <param name="Param">The field, as a path: <c>messages[2].content</c>.</param>
public sealed record RequestFailure(FailureKind Kind, string Message, string? Param = null)
{
    private const string Invalid = "invalid_request_error";

    /// <summary>Seconds after which trying again helps; null where the kind says it.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>Where it failed.</summary>
    public FailureStage Stage => Row.Stage;

    /// <summary>Who can do something about it.</summary>
    public FailureParty Party => Row.Party;

    /// <summary>HTTP status.</summary>
    public int Status => Row.Status;

    /// <summary>OpenAI's <c>type</c>.</summary>
    public string Type => Row.Type;

    /// <summary>OpenAI's <c>code</c>.</summary>
    public string? Code => Row.Code;

    /// <summary>The body that OpenAI's clients expect.</summary>
    public ErrorBody ToBody() => new(new ErrorDetail(Message, Type, Param, Code));

    private (FailureStage Stage, FailureParty Party, int Status, string Type, string? Code) Row => Kind switch
    {
        FailureKind.InvalidJson => (FailureStage.Parsing, FailureParty.Client, 400, Invalid, "invalid_json"),
        FailureKind.InvalidType => (FailureStage.Parsing, FailureParty.Client, 400, Invalid, "invalid_type"),
        FailureKind.InvalidValue => (FailureStage.Parsing, FailureParty.Client, 400, Invalid, "invalid_value"),
        FailureKind.MissingField => (FailureStage.Parsing, FailureParty.Client, 400, Invalid, "missing_required_parameter"),
        FailureKind.Unsupported => (FailureStage.Parsing, FailureParty.Client, 400, Invalid, "unsupported_parameter"),
        FailureKind.TemplateRefused => (FailureStage.Rendering, FailureParty.Client, 400, Invalid, "chat_template_error"),
        FailureKind.ContextExceeded => (FailureStage.Admission, FailureParty.Client, 400, Invalid, "context_length_exceeded"),
        FailureKind.NeverFits => (FailureStage.Admission, FailureParty.Client, 400, Invalid, "memory_exceeded"),
        FailureKind.Unauthorized => (FailureStage.Transport, FailureParty.Client, 401, Invalid, "invalid_api_key"),
        FailureKind.ModelNotFound => (FailureStage.Parsing, FailureParty.Client, 404, Invalid, "model_not_found"),
        FailureKind.KvNotFound => (FailureStage.Admission, FailureParty.Client, 404, Invalid, "kv_not_found"),
        FailureKind.RouteNotFound => (FailureStage.Transport, FailureParty.Client, 404, Invalid, "unknown_url"),
        FailureKind.MethodNotAllowed => (FailureStage.Transport, FailureParty.Client, 405, Invalid, "method_not_allowed"),
        FailureKind.BodyTooLarge => (FailureStage.Transport, FailureParty.Client, 413, Invalid, "request_too_large"),
        FailureKind.UnsupportedMediaType => (FailureStage.Transport, FailureParty.Client, 415, Invalid, "unsupported_media_type"),
        FailureKind.BadRequest => (FailureStage.Transport, FailureParty.Client, 400, Invalid, "bad_request"),
        FailureKind.QueueFull => (FailureStage.Admission, FailureParty.Load, 429, "rate_limit_error", "queue_full"),
        FailureKind.TokensUsedUp => (FailureStage.Admission, FailureParty.Load, 429, "tokens", "rate_limit_exceeded"),
        FailureKind.Draining => (FailureStage.Admission, FailureParty.Load, 503, "service_unavailable_error", "draining"),
        FailureKind.Asleep => (FailureStage.Admission, FailureParty.Load, 503, "service_unavailable_error", "model_sleeping"),
        FailureKind.Busy => (FailureStage.Admission, FailureParty.Load, 409, "conflict_error", "requests_running"),
        FailureKind.Loading => (FailureStage.Admission, FailureParty.Load, 503, "service_unavailable_error", "model_loading"),
        _ => (FailureStage.Generation, FailureParty.Server, 500, "server_error", "internal_error"),
    };
}

/// <summary>OpenAI's error body.</summary>
/// <param name="Error">What it holds.</param>
public sealed record ErrorBody(ErrorDetail Error);

/// <summary>OpenAI's error object.</summary>
/// <param name="Message">For people.</param>
/// <param name="Type">The class of error.</param>
/// <param name="Param">The field, or null.</param>
/// <param name="Code">For programs, or null.</param>
public sealed record ErrorDetail(string Message, string Type, string? Param, string? Code);

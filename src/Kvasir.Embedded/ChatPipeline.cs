using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints;
using Kvasir.Checkpoints.ChatTemplates;
using Kvasir.Checkpoints.Tokenizers;
using Kvasir.Engine;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.Sampling;
using Kvasir.Protocol.OpenAi;

namespace Kvasir;

/// <summary>Messages as a chat template reads them.</summary>
/// <param name="Messages">Objects with <c>role</c>, <c>content</c> and what else the template knows.</param>
/// <param name="Tools">Function descriptions in OpenAI's form, or null.</param>
/// <param name="AddGenerationPrompt">Whether to open an answer.</param>
/// <param name="Arguments">Further variables of the template.</param>
public sealed record ChatPrompt(JsonArray Messages, JsonArray? Tools = null, bool AddGenerationPrompt = true, JsonObject? Arguments = null);

/// <summary>Text in, text out: renders messages, turns text into tokens, submits them, turns tokens into text.</summary>
public sealed class ChatPipeline
{
    private readonly ChatTemplate? template;
    private readonly GenerationDefaults defaults;
    private readonly LlmEngine engine;
    private readonly KvasirOptions options;

    internal ChatPipeline(Tokenizer tokenizer, ChatTemplate? template, GenerationDefaults defaults, LlmEngine engine, KvasirOptions options) =>
        (Tokenizer, this.template, this.defaults, this.engine, this.options) = (tokenizer, template, defaults, engine, options);

    /// <summary>The model's tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The clock.</summary>
    internal TimeProvider Time => options.Time;

    /// <summary>Whether the checkpoint brings a chat template; without one, <see cref="PlainChat"/> is used.</summary>
    public bool HasTemplate => template is not null;

    /// <summary>Most answers that one request may ask for: what can run and wait together.</summary>
    public int MaxChoices => options.Engine.MaxSequences + options.Engine.MaxQueue;

    /// <summary>Renders messages to the prompt's text.</summary>
    public bool TryRender(ChatPrompt prompt, [NotNullWhen(true)] out string? text, [NotNullWhen(false)] out RequestFailure? failure)
    {
        (text, failure) = (null, null);
        if (template is null)
        {
            text = PlainChat.Render(prompt);
            return true;
        }
        try
        {
            text = template.Render(Context(prompt), options.Time.GetLocalNow());
            return true;
        }
        catch (ChatTemplateException error)
        {
            failure = new RequestFailure(FailureKind.TemplateRefused, $"The model's chat template refused the messages: {error.Message}", "messages");
            return false;
        }
    }

    /// <summary>Tokens of a rendered prompt. Special tokens are read as such; BOS is added where the model wants it and the template left it out.</summary>
    public ImmutableArray<int> EncodeChat(string rendered)
    {
        var ids = Tokenizer.Encode(rendered, addSpecial: false, parseSpecial: true);
        if (Tokenizer.AddsBos && Tokenizer.Bos is { } bos && (ids.Count == 0 || ids[0] != bos)) ids.Insert(0, bos);
        return [.. ids];
    }

    /// <summary>The request that OpenAI's sampling fields ask for; what they leave open, the checkpoint's makers decide.</summary>
    public TextRequest Request(ImmutableArray<int> prompt, SamplingFields fields) => new()
    {
        Prompt = prompt,
        MaxTokens = fields.MaxTokens,
        Stop = fields.Stop,
        StopTokens = fields.StopTokenIds,
        IncludeStop = fields.IncludeStop,
        CacheSalt = fields.CacheSalt,
        Priority = fields.Priority,
        Tenant = fields.CacheSalt,
        Explain = fields.Explain,
        Retention = fields.Retention is { } hint
            ? new KvRetention(hint.Priority ?? KvRetention.NormalPriority, hint.TtlSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : KvRetention.DefaultTime) : null,
        IgnoreEndOfText = fields.IgnoreEos,
        KeepSpecial = !fields.SkipSpecialTokens,
        Sampling = new SamplingOptions
        {
            Temperature = (float)(fields.Temperature ?? (defaults.Sample == false ? 0 : defaults.Temperature ?? 1)),
            TopK = Math.Max(0, fields.TopK ?? defaults.TopK ?? 0),
            TopP = (float)(fields.TopP ?? defaults.TopP ?? 1),
            MinP = (float)(fields.MinP ?? defaults.MinP ?? 0),
            TypicalP = (float)(fields.TypicalP ?? 1),
            RepetitionPenalty = (float)(fields.RepetitionPenalty ?? defaults.RepetitionPenalty ?? 1),
            PresencePenalty = (float)(fields.PresencePenalty ?? 0),
            FrequencyPenalty = (float)(fields.FrequencyPenalty ?? 0),
            LogitBias = fields.LogitBias,
            Seed = fields.Seed is { } seed ? unchecked((ulong)seed) : null,
        },
    };

    /// <summary>
    /// Submits a chat prompt: as <see cref="TryStart"/>, and where the plain form is used an answer ends before it speaks
    /// for the user.
    /// </summary>
    public bool TryStartChat(TextRequest request, int choices, [NotNullWhen(true)] out TextGeneration? generation, [NotNullWhen(false)] out RequestFailure? failure)
    {
        if (template is null) request = request with { Stop = [.. request.Stop, .. PlainChat.Stops] };
        return TryStart([.. Copies(request, choices)], out generation, out failure);
    }

    /// <summary>The same request several times, each with a seed of its own.</summary>
    public static IEnumerable<TextRequest> Copies(TextRequest request, int count) =>
        from index in Enumerable.Range(0, count)
        select index == 0 || request.Sampling.Seed is not { } seed
            ? request
            : request with { Sampling = request.Sampling with { Seed = unchecked(seed + (ulong)index) } };

    /// <summary>What is wrong with requests whatever else runs, and whether the model is awake; null when they can be submitted.</summary>
    public RequestFailure? Refusal(IReadOnlyList<TextRequest> requests)
    {
        if (requests.Count > MaxChoices)
            return new RequestFailure(FailureKind.InvalidValue,
                $"The request asks for {requests.Count} answers, more than the {MaxChoices} that can run and wait here together.", "n");
        if (requests.Select(OutsideVocabulary).FirstOrDefault(problem => problem is not null) is { } outside) return outside;
        try
        {
            foreach (var request in requests) engine.Check(ToEngine(request));
            return null;
        }
        catch (RequestException error)
        {
            return ToFailure(error);
        }
    }

    /// <summary>Submits requests, all or none of them.</summary>
    public bool TryStart(IReadOnlyList<TextRequest> requests, [NotNullWhen(true)] out TextGeneration? generation, [NotNullWhen(false)] out RequestFailure? failure)
    {
        generation = null;
        failure = Refusal(requests);
        if (failure is not null) return false;
        var started = ImmutableArray.CreateBuilder<(TextRequest, GenerationStream)>(requests.Count);
        try
        {
            foreach (var request in requests) started.Add((request, engine.Submit(ToEngine(request))));
        }
        catch (RequestException error)
        {
            failure = ToFailure(error);
        }
        generation = new TextGeneration(Tokenizer, started.ToImmutable());
        if (failure is null) return true;
        // Disposing only tells the engine to leave; it completes at once.
        _ = generation.DisposeAsync().AsTask();
        generation = null;
        return false;
    }

    /// <summary>The engine's refusals in the terms of the protocol.</summary>
    public static RequestFailure ToFailure(RequestException error) => error.Kind switch
    {
        RefusalKind.Invalid => new RequestFailure(FailureKind.InvalidValue, error.Message),
        RefusalKind.ExceedsContext => new RequestFailure(FailureKind.ContextExceeded, error.Message, "messages"),
        RefusalKind.ExceedsKvCache => new RequestFailure(FailureKind.NeverFits, error.Message, "messages"),
        RefusalKind.ExceedsPinShare => new RequestFailure(FailureKind.NeverFits, error.Message),
        RefusalKind.QueueFull => new RequestFailure(FailureKind.QueueFull, error.Message),
        RefusalKind.Asleep => new RequestFailure(FailureKind.Asleep, error.Message),
        RefusalKind.Closing => new RequestFailure(FailureKind.Draining, error.Message),
        _ => new RequestFailure(FailureKind.Internal, "The engine failed to compute a step; the server's log says why."),
    };

    private GenerationRequest ToEngine(TextRequest request) => new()
    {
        Prompt = request.Prompt,
        Id = request.Id,
        MaxTokens = request.MaxTokens ?? int.MaxValue,
        Sampling = request.Sampling,
        StopTokens = AnswerWriter.StopTokens(Tokenizer, request),
        LogProbabilities = request.LogProbabilities,
        TopLogProbabilities = request.TopLogProbabilities,
        PromptLogProbabilities = request.PromptLogProbabilities,
        CacheSalt = request.CacheSalt,
        Priority = request.Priority,
        Tenant = request.Tenant,
        Explain = request.Explain,
        Retention = request.Retention,
    };

    private RequestFailure? OutsideVocabulary(TextRequest request)
    {
        var size = engine.Spec.VocabularySize;
        foreach (var (token, _) in request.Sampling.LogitBias)
            if (token >= size)
                return new RequestFailure(FailureKind.InvalidValue, $"Invalid 'logit_bias': token {token} is not between 0 and {size - 1}.", "logit_bias");
        foreach (var token in request.StopTokens)
            if (token >= size)
                return new RequestFailure(FailureKind.InvalidValue, $"Invalid 'stop_token_ids': token {token} is not between 0 and {size - 1}.", "stop_token_ids");
        return null;
    }

    private JsonObject Context(ChatPrompt prompt)
    {
        var context = new JsonObject
        {
            ["messages"] = prompt.Messages.DeepClone(),
            ["tools"] = prompt.Tools?.DeepClone(),
            ["add_generation_prompt"] = prompt.AddGenerationPrompt,
            ["bos_token"] = Tokenizer.Bos is { } bos ? Tokenizer.Text(bos) : "",
            ["eos_token"] = Tokenizer.Eos is { } eos ? Tokenizer.Text(eos) : "",
        };
        if (prompt.Arguments is { } arguments)
            foreach (var (name, value) in arguments)
                if (!context.ContainsKey(name)) context[name] = value?.DeepClone();
        return context;
    }
}

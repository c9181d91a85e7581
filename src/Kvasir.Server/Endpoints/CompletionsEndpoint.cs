using System.Collections.Immutable;
using System.Text;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Monitoring;
using Kvasir.Server.Streaming;
using Kvasir.Server.Transport;
using Kvasir.Server.Turns;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary><c>POST /v1/completions</c>.</summary>
internal sealed class CompletionsEndpoint(ServerState state)
{
    public Task HandleAsync(HttpContext http) => Admission.RunAsync(state, http, AnswerAsync);

    private async Task<RequestFailure?> AnswerAsync(HttpContext http, long started)
    {
        var (request, failure) = await state.Bodies.ReadAsync<CompletionRequest>(http, CompletionRequest.Parse);
        if (request is null) return failure;
        if (!Admission.TryFind(state, http, request.Model, out var model, out failure)) return failure;
        var engine = model.Engine;
        var prompts = request.Prompts.Select(prompt => Prompt(engine, request, prompt)).ToImmutableArray();
        if (prompts.FirstOrDefault(prompt => prompt.Ids.IsEmpty) is not null)
            return new RequestFailure(FailureKind.InvalidValue, "Invalid 'prompt': it has no tokens; at least one is needed.", "prompt");
        var vocabulary = engine.Engine.Spec.VocabularySize;
        if (prompts.SelectMany(prompt => prompt.Ids).FirstOrDefault(id => id >= vocabulary) is > 0 and var unknown)
            return new RequestFailure(FailureKind.InvalidValue, $"Invalid 'prompt': token {unknown} is not between 0 and {vocabulary - 1}.", "prompt");
        var tenant = state.Tenants.Of(http, request.Sampling.CacheSalt);
        if (state.Tenants.Charge(tenant, prompts.Sum(prompt => prompt.Ids.Length)) is { } usedUp) return usedUp;
        var asked = prompts.SelectMany(prompt => ChatPipeline.Copies(Request(engine, request, prompt.Ids) with
        {
            Id = Guard.Id(http), Tenant = tenant, Priority = state.Tenants.Priority(request.Sampling.Priority),
        }, request.Sampling.N)).ToArray();
        failure = await Admission.AwaitTurnAsync(state, http, model, asked, request.Sampling.Stream,
            () => state.Tenants.Refund(tenant, prompts.Sum(prompt => prompt.Ids.Length)));
        if (failure is not null) return OfPrompt(failure);
        try
        {
            return await GenerateAsync(http, model, request, prompts, asked, started);
        }
        finally
        {
            state.Turns!.Leave(model);
        }
    }

    private async Task<RequestFailure?> GenerateAsync(
        HttpContext http, ServedModel model, CompletionRequest request, ImmutableArray<Prompted> prompts, TextRequest[] asked, long started)
    {
        var tenant = asked[0].Tenant;
        if (!model.Engine.Pipeline.TryStart(asked, out var generation, out var failure))
        {
            state.Tenants.Refund(tenant, prompts.Sum(prompt => prompt.Ids.Length));
            return OfPrompt(failure);
        }
        await using var leaving = generation;
        var clock = new RequestClock(state.Metrics, model, state.Time, generation.Count, started);
        var answer = new Answer(model.Engine, request, prompts, generation, $"cmpl-{Guid.NewGuid():N}", state.Time.GetUtcNow().ToUnixTimeSeconds(), model.Name);
        try
        {
            return await (request.Sampling.Stream ? StreamAsync(http, answer, clock) : CollectAsync(http, answer, clock));
        }
        finally
        {
            clock.Complete(generation);
            state.Tenants.ChargeAnswer(tenant, generation.GeneratedTokens);
        }
    }

    private static RequestFailure OfPrompt(RequestFailure failure) => failure.Param == "messages" ? failure with { Param = "prompt" } : failure;

    private static Prompted Prompt(KvasirEngine engine, CompletionRequest request, CompletionPrompt prompt)
    {
        var tokenizer = engine.Pipeline.Tokenizer;
        return prompt.Text is { } text
            ? new Prompted(text, [.. tokenizer.Encode(text, request.AddSpecialTokens, parseSpecial: true)])
            : new Prompted(request.Echo ? tokenizer.Decode(prompt.Ids.AsSpan(), keepSpecial: true) : "", prompt.Ids);
    }

    private static TextRequest Request(KvasirEngine engine, CompletionRequest request, ImmutableArray<int> prompt)
    {
        var asked = engine.Pipeline.Request(prompt, request.Sampling);
        return asked with
        {
            MaxTokens = request.Sampling.MaxTokens ?? CompletionRequest.DefaultMaxTokens,
            LogProbabilities = request.Logprobs is not null,
            TopLogProbabilities = request.Logprobs ?? 0,
            PromptLogProbabilities = request is { Echo: true, Logprobs: not null },
        };
    }

    private sealed record Prompted(string Text, ImmutableArray<int> Ids);

    private sealed record Answer(
        KvasirEngine Engine, CompletionRequest Request, ImmutableArray<Prompted> Prompts, TextGeneration Generation, string Id, long Created, string Model)
    {
        public Usage Usage => Usage.Of(Generation.PromptTokens, Generation.GeneratedTokens, Generation.CachedTokens);

        public Explanations? Explained => ExplanationTexts.Of(Request.Sampling, Generation);

        public Prompted PromptOf(int choice) => Prompts[choice / Request.Sampling.N];

        public TextCompletion Completion(params TextChoice[] choices) => new(Id, "text_completion", Created, Model, choices);

        public CompletionLogprobs? Logprobs(int choice) => Request.Logprobs is { } count
            ? new CompletionLogprobs(Engine.Pipeline.Tokenizer, count, Request.Echo ? PromptOf(choice).Ids : [], Generation.PromptLogProbabilities(choice))
            : null;
    }

    private static async Task<RequestFailure?> CollectAsync(HttpContext http, Answer answer, RequestClock clock)
    {
        var count = answer.Generation.Count;
        var texts = Enumerable.Range(0, count).Select(_ => new StringBuilder()).ToArray();
        var tokens = Enumerable.Range(0, count).Select(_ => new List<GeneratedToken>()).ToArray();
        var ends = new TextPart[count];
        try
        {
            await foreach (var part in answer.Generation.ReadAsync(http.RequestAborted))
            {
                clock.Observe(part);
                texts[part.Choice].Append(part.Text);
                if (answer.Request.Logprobs is not null) tokens[part.Choice].AddRange(part.Tokens);
                if (part.FinishReason is not null) ends[part.Choice] = part;
            }
        }
        catch (RequestException error)
        {
            return ChatPipeline.ToFailure(error);
        }
        var choices = Enumerable.Range(0, count).Select(index => new TextChoice(index,
            (answer.Request.Echo ? answer.PromptOf(index).Text : "") + texts[index],
            answer.Logprobs(index)?.Take(tokens[index]), FinishReasons.Name(ends[index], ends[index].FinishReason!.Value))).ToArray();
        await Answers.WriteAsync(http, answer.Completion(choices) with { Usage = answer.Usage, Kvasir = answer.Explained }, OpenAiJson.Wire.TextCompletion);
        return null;
    }

    private async Task<RequestFailure?> StreamAsync(HttpContext http, Answer answer, RequestClock clock)
    {
        var events = await EventStream.OpenAsync(http);
        var begun = new bool[answer.Generation.Count];
        var logprobs = new CompletionLogprobs?[begun.Length];
        try
        {
            await Waiting.ForEachAsync(answer.Generation.ReadAsync, state.Options.KeepAliveInterval, state.Time,
                events.KeepAliveAsync, SendAsync, http.RequestAborted);
        }
        catch (RequestException error)
        {
            return ChatPipeline.ToFailure(error);
        }
        if (answer.Request.Sampling is { IncludeUsage: true } or { Explain: true })
            await events.SendAsync(answer.Completion() with { Usage = answer.Request.Sampling.IncludeUsage ? answer.Usage : null, Kvasir = answer.Explained }, OpenAiJson.Wire.TextCompletion);
        await events.CompleteAsync();
        return null;

        async ValueTask SendAsync(TextPart part)
        {
            clock.Observe(part);
            var index = part.Choice;
            var text = part.Text;
            if (!begun[index])
            {
                begun[index] = true;
                logprobs[index] = answer.Logprobs(index);
                if (answer.Request.Echo) text = answer.PromptOf(index).Text + text;
            }
            var reason = part.FinishReason is { } end ? FinishReasons.Name(part, end) : null;
            if (text.Length == 0 && reason is null && (answer.Request.Logprobs is null || part.Tokens.IsEmpty)) return;
            var choice = new TextChoice(index, text, logprobs[index]?.Take(part.Tokens), reason);
            await events.SendAsync(answer.Completion(choice), OpenAiJson.Wire.TextCompletion);
        }
    }
}

using System.Text;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Monitoring;
using Kvasir.Server.Streaming;
using Kvasir.Server.Transport;
using Kvasir.Server.Turns;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal sealed class ChatCompletionsEndpoint(ServerState state)
{
    public Task HandleAsync(HttpContext http) => Admission.RunAsync(state, http, AnswerAsync);

    private async Task<RequestFailure?> AnswerAsync(HttpContext http, long started)
    {
        var (request, failure) = await state.Bodies.ReadAsync<ChatCompletionRequest>(http, ChatCompletionRequest.Parse);
        if (request is null) return failure;
        if (!Admission.TryFind(state, http, request.Model, out var model, out failure)) return failure;
        var pipeline = model.Engine.Pipeline;
        var prompt = new ChatPrompt(request.Messages, request.Tools, request.AddGenerationPrompt, request.TemplateArguments);
        if (!pipeline.TryRender(prompt, out var text, out failure)) return failure;
        var asked = pipeline.Request(pipeline.EncodeChat(text), request.Sampling) with
        {
            Id = Guard.Id(http),
            Tenant = state.Tenants.Of(http, request.Sampling.CacheSalt),
            Priority = state.Tenants.Priority(request.Sampling.Priority),
            LogProbabilities = request.Logprobs,
            TopLogProbabilities = request.TopLogprobs,
            FindToolCalls = request.Tools is not null,
        };
        if (state.Tenants.Charge(asked.Tenant, asked.Prompt.Length) is { } usedUp) return usedUp;
        failure = await Admission.AwaitTurnAsync(state, http, model, [.. ChatPipeline.Copies(asked, request.Sampling.N)], request.Sampling.Stream,
            () => state.Tenants.Refund(asked.Tenant, asked.Prompt.Length));
        if (failure is not null) return failure;
        try
        {
            return await GenerateAsync(http, model, request, asked, started);
        }
        finally
        {
            state.Turns!.Leave(model);
        }
    }

    private async Task<RequestFailure?> GenerateAsync(HttpContext http, ServedModel model, ChatCompletionRequest request, TextRequest asked, long started)
    {
        if (!model.Engine.Pipeline.TryStartChat(asked, request.Sampling.N, out var generation, out var failure))
        {
            state.Tenants.Refund(asked.Tenant, asked.Prompt.Length);
            return failure;
        }
        await using var leaving = generation;
        var clock = new RequestClock(state.Metrics, model, state.Time, generation.Count, started);
        var answer = new Answer(model.Engine, request, generation, $"chatcmpl-{Guid.NewGuid():N}", state.Time.GetUtcNow().ToUnixTimeSeconds(), model.Name);
        try
        {
            return await (request.Sampling.Stream ? StreamAsync(http, answer, clock) : CollectAsync(http, answer, clock));
        }
        finally
        {
            clock.Complete(generation);
            state.Tenants.ChargeAnswer(asked.Tenant, generation.GeneratedTokens);
        }
    }

    private sealed record Answer(KvasirEngine Engine, ChatCompletionRequest Request, TextGeneration Generation, string Id, long Created, string Model)
    {
        public Usage Usage => Usage.Of(Generation.PromptTokens, Generation.GeneratedTokens, Generation.CachedTokens);

        public Explanations? Explained => ExplanationTexts.Of(Request.Sampling, Generation);

        public ChatLogprobs? Logprobs(IEnumerable<GeneratedToken> tokens) => Request.Logprobs
            ? new ChatLogprobs([.. tokens.Select(token => LogprobTexts.Of(Engine.Pipeline.Tokenizer, token))])
            : null;

        public ChatChunk Chunk(params ChatChunkChoice[] choices) => new(Id, "chat.completion.chunk", Created, Model, choices);
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
                if (answer.Request.Logprobs) tokens[part.Choice].AddRange(part.Tokens);
                if (part.FinishReason is not null) ends[part.Choice] = part;
            }
        }
        catch (RequestException error)
        {
            return ChatPipeline.ToFailure(error);
        }
        var choices = Enumerable.Range(0, count).Select(index => Choice(answer, index, texts[index].ToString(), tokens[index], ends[index])).ToArray();
        await Answers.WriteAsync(http, new ChatCompletion(answer.Id, "chat.completion", answer.Created, answer.Model, choices, answer.Usage) { Kvasir = answer.Explained }, OpenAiJson.Wire.ChatCompletion);
        return null;
    }

    private static ChatChoice Choice(Answer answer, int index, string text, List<GeneratedToken> tokens, TextPart end)
    {
        var message = new ChatAnswer("assistant", text.Length == 0 && end.ToolCalls.Length > 0 ? null : text)
        {
            ToolCalls = end.ToolCalls.Length > 0 ? Calls(end) : null,
        };
        return new ChatChoice(index, message, answer.Logprobs(tokens), FinishReasons.Name(end, end.FinishReason!.Value));
    }

    private async Task<RequestFailure?> StreamAsync(HttpContext http, Answer answer, RequestClock clock)
    {
        var events = await EventStream.OpenAsync(http);
        var begun = new bool[answer.Generation.Count];
        try
        {
            await Waiting.ForEachAsync(answer.Generation.ReadAsync, state.Options.KeepAliveInterval, state.Time,
                events.KeepAliveAsync, part => SendAsync(events, answer, part, clock, begun), http.RequestAborted);
        }
        catch (RequestException error)
        {
            return ChatPipeline.ToFailure(error);
        }
        if (answer.Request.Sampling is { IncludeUsage: true } or { Explain: true })
            await events.SendAsync(answer.Chunk() with { Usage = answer.Request.Sampling.IncludeUsage ? answer.Usage : null, Kvasir = answer.Explained }, OpenAiJson.Wire.ChatChunk);
        await events.CompleteAsync();
        return null;
    }

    private static async ValueTask SendAsync(EventStream events, Answer answer, TextPart part, RequestClock clock, bool[] begun)
    {
        clock.Observe(part);
        var index = part.Choice;
        if (!begun[index])
        {
            begun[index] = true;
            var opening = new ChatDelta { Role = "assistant", Content = "" };
            await events.SendAsync(answer.Chunk(new ChatChunkChoice(index, opening, null, null)), OpenAiJson.Wire.ChatChunk);
        }
        var isLogged = answer.Request.Logprobs && part.Tokens.Length > 0;
        if (part.Text.Length > 0 || isLogged)
        {
            var delta = new ChatDelta { Content = part.Text };
            await events.SendAsync(answer.Chunk(new ChatChunkChoice(index, delta, answer.Logprobs(part.Tokens), null)), OpenAiJson.Wire.ChatChunk);
        }
        if (part.FinishReason is not { } reason) return;
        var end = new ChatDelta { ToolCalls = part.ToolCalls.Length > 0 ? Calls(part) : null };
        await events.SendAsync(answer.Chunk(new ChatChunkChoice(index, end, null, FinishReasons.Name(part, reason))), OpenAiJson.Wire.ChatChunk);
    }

    private static ToolCall[] Calls(TextPart part) =>
        [.. part.ToolCalls.Select((call, index) => new ToolCall(index, $"call_{Guid.NewGuid():N}", "function", new FunctionCall(call.Name, call.Arguments)))];
}

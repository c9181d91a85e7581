using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Transport;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Kvasir.Server.Endpoints;

/// <summary><c>GET /v1/models</c> and what belongs to the model rather than to a request: tokens to text and back.</summary>
internal sealed class ModelEndpoints(ServerState state)
{
    public Task ListAsync(HttpContext http) =>
        Answers.WriteAsync(http, new ModelList("list", [.. Cards()]), OpenAiJson.Wire.ModelList);

    public Task GetAsync(HttpContext http)
    {
        var id = (string?)http.GetRouteValue("id");
        return !state.Serves(id, out var failure)
            ? Answers.WriteAsync(http, failure)
            : Answers.WriteAsync(http, Cards().First(card => card.Id == id), OpenAiJson.Wire.ModelCard);
    }

    public async Task TokenizeAsync(HttpContext http)
    {
        var (request, failure) = await state.Bodies.ReadAsync<TokenizeRequest>(http, TokenizeRequest.Parse);
        if (request is null || !state.Serves(request.Model, out failure) || !IsLoaded(out var engine, out failure))
        {
            await Answers.WriteAsync(http, failure!);
            return;
        }
        var pipeline = engine!.Pipeline;
        var text = request.Prompt;
        if (request.Messages is { } messages
            && !pipeline.TryRender(new ChatPrompt(messages, request.Tools, request.AddGenerationPrompt, request.TemplateArguments), out text, out failure))
        {
            await Answers.WriteAsync(http, failure);
            return;
        }
        IReadOnlyList<int> ids = request.Messages is not null && !request.AddSpecialTokens
            ? pipeline.EncodeChat(text!)
            : pipeline.Tokenizer.Encode(text!, request.AddSpecialTokens, parseSpecial: true);
        var texts = request.ReturnTokenTexts ? ids.Select(pipeline.Tokenizer.Text).ToArray() : null;
        await Answers.WriteAsync(http, new TokenizeResponse(ids.Count, engine.Engine.ContextTokens, ids, texts), OpenAiJson.Wire.TokenizeResponse);
    }

    public async Task DetokenizeAsync(HttpContext http)
    {
        var (request, failure) = await state.Bodies.ReadAsync<DetokenizeRequest>(http, DetokenizeRequest.Parse);
        if (request is null || !state.Serves(request.Model, out failure) || !IsLoaded(out var engine, out failure))
        {
            await Answers.WriteAsync(http, failure!);
            return;
        }
        var tokenizer = engine!.Pipeline.Tokenizer;
        foreach (var (token, index) in request.Tokens.Select((token, index) => (token, index)))
        {
            if (token < tokenizer.VocabularySize) continue;
            await Answers.WriteAsync(http, new RequestFailure(FailureKind.InvalidValue,
                $"Invalid 'tokens[{index}]': {token} is not between 0 and {tokenizer.VocabularySize - 1}.", $"tokens[{index}]"));
            return;
        }
        await Answers.WriteAsync(http, new DetokenizeResponse(tokenizer.Decode(request.Tokens.AsSpan(), keepSpecial: true)), OpenAiJson.Wire.DetokenizeResponse);
    }

    private bool IsLoaded(out KvasirEngine? engine, out RequestFailure? failure)
    {
        engine = state.Engine;
        failure = engine is null ? new RequestFailure(FailureKind.Loading, "The model is still loading; try again in a moment.") : null;
        return engine is not null;
    }

    private IEnumerable<ModelCard> Cards() =>
        from name in state.ModelNames
        let engine = state.Engine
        select new ModelCard(name, "model", state.Started.ToUnixTimeSeconds(), "kvasir",
            engine is null ? "" : Path.GetFileName(Path.TrimEndingDirectorySeparator(engine.Checkpoint.Path)), engine?.Engine.ContextTokens ?? 0);
}

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
        return Cards().FirstOrDefault(card => card.Id == id) is { } card
            ? Answers.WriteAsync(http, card, OpenAiJson.Wire.ModelCard)
            : Answers.WriteAsync(http, state.NotFound(id ?? ""));
    }

    public async Task TokenizeAsync(HttpContext http)
    {
        var (request, failure) = await state.Bodies.ReadAsync<TokenizeRequest>(http, TokenizeRequest.Parse);
        if (request is null || !state.TryFind(request.Model, out var model, out failure))
        {
            await Answers.WriteAsync(http, failure!);
            return;
        }
        var pipeline = model.Engine.Pipeline;
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
        await Answers.WriteAsync(http, new TokenizeResponse(ids.Count, model.Engine.Engine.ContextTokens, ids, texts), OpenAiJson.Wire.TokenizeResponse);
    }

    public async Task DetokenizeAsync(HttpContext http)
    {
        var (request, failure) = await state.Bodies.ReadAsync<DetokenizeRequest>(http, DetokenizeRequest.Parse);
        if (request is null || !state.TryFind(request.Model, out var model, out failure))
        {
            await Answers.WriteAsync(http, failure!);
            return;
        }
        var tokenizer = model.Engine.Pipeline.Tokenizer;
        foreach (var (token, index) in request.Tokens.Select((token, index) => (token, index)))
        {
            if (token < tokenizer.VocabularySize) continue;
            await Answers.WriteAsync(http, new RequestFailure(FailureKind.InvalidValue,
                $"Invalid 'tokens[{index}]': {token} is not between 0 and {tokenizer.VocabularySize - 1}.", $"tokens[{index}]"));
            return;
        }
        await Answers.WriteAsync(http, new DetokenizeResponse(tokenizer.Decode(request.Tokens.AsSpan(), keepSpecial: true)), OpenAiJson.Wire.DetokenizeResponse);
    }

    private IEnumerable<ModelCard> Cards() => state.Models is { IsEmpty: false } models
        ? models.SelectMany(model => model.Names, (model, name) => Card(name, Path.GetFileName(Path.TrimEndingDirectorySeparator(model.Engine.Checkpoint.Path)), model.Engine.Engine.ContextTokens)
            with { Kvasir = models.Length > 1 ? new ModelState(model.State) : null })
        : state.ModelNames.Select(name => Card(name, "", 0));

    private ModelCard Card(string name, string root, int contextTokens) => new(name, "model", state.Started.ToUnixTimeSeconds(), "kvasir", root, contextTokens);
}

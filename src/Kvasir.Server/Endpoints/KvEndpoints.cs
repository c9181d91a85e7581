using System.Collections.Immutable;
using System.Globalization;
using Kvasir.Engine;
using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;
using Kvasir.Protocol.Memory;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Transport;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary><c>/v1/kv</c>: what is cached, pinning and deleting it.</summary>
internal sealed class KvEndpoints(ServerState state)
{
    private const int PageSize = 100, MostPageSize = 1000;

    public Task PinAsync(HttpContext http) => RunAsync(http, async () =>
    {
        var (request, failure) = await state.Bodies.ReadAsync<KvPinRequest>(http, KvPinRequest.Parse);
        if (request is null || !state.TryFind(request.Model, out var model, out failure)) return failure;
        if (!TryEncode(model.Engine, request, out var ids, out failure)) return failure;
        if (await state.Turns!.EnterAsync(model, 1, http.RequestAborted) is { } late) return late;
        try
        {
            return await PinAsync(http, model.Engine, request, ids);
        }
        finally
        {
            state.Turns.Leave(model);
        }
    });

    private static async Task<RequestFailure?> PinAsync(HttpContext http, KvasirEngine engine, KvPinRequest request, ImmutableArray<int> ids)
    {
        var time = request.TtlSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : (TimeSpan?)null;
        PinOutcome made;
        try
        {
            made = await engine.Engine.PinAsync(ids, request.CacheSalt, time, http.RequestAborted);
        }
        catch (RequestException error)
        {
            var failure = ChatPipeline.ToFailure(error);
            return failure.Param == "messages" && request.Messages is null ? failure with { Param = "prompt" } : failure;
        }
        var answer = new KvPinned("kv.pin", Pin(made.Pin), ids.Length, made.ComputedTokens, made.PinnedBytes, made.LimitBytes);
        await Answers.WriteAsync(http, answer, MemoryJson.Wire.KvPinned);
        return null;
    }

    public Task UnpinAsync(HttpContext http) => RunAsync(http, async () =>
    {
        var (request, failure) = await state.Bodies.ReadAsync<KvUnpinRequest>(http, KvUnpinRequest.Parse);
        if (request is null || !state.TryFind(request.Model, out var model, out failure)) return failure;
        if (!await model.Engine.Engine.UnpinAsync(request.Id).WaitAsync(http.RequestAborted)) return NotFound("pin", request.Id, "id");
        await Answers.WriteAsync(http, new KvUnpinned("kv.unpinned", request.Id), MemoryJson.Wire.KvUnpinned);
        return null;
    });

    public Task ListAsync(HttpContext http) => RunAsync(http, async () =>
    {
        if (!state.TryFind(Asked(http), out var model, out var failure)) return failure;
        if (!TryNumber(http, "limit", PageSize, 1, MostPageSize, out var limit, out failure)) return failure;
        if (!TryNumber(http, "offset", 0, 0, int.MaxValue, out var offset, out failure)) return failure;
        var tenant = (string?)http.Request.Query["tenant"];
        await state.Listing.WaitAsync(http.RequestAborted);
        try
        {
            var listing = await model.Engine.Engine.CachedAsync().WaitAsync(http.RequestAborted);
            var all = tenant is null ? listing.Prefixes : [.. listing.Prefixes.Where(prefix => prefix.Tenant == tenant)];
            var page = all.Skip(offset).Take(limit).Select(Prefix).ToArray();
            var answer = new KvList("list", all.Length, offset, offset + page.Length < all.Length, page, [.. listing.Pins.Select(Pin)]);
            await Answers.WriteAsync(http, answer, MemoryJson.Wire.KvList);
            return null;
        }
        finally
        {
            state.Listing.Release();
        }
    });

    public Task DeleteAsync(HttpContext http) => RunAsync(http, async () =>
    {
        if (!state.TryFind(Asked(http), out var model, out var failure)) return failure;
        var engine = model.Engine.Engine;
        var query = http.Request.Query;
        var asked = ((string[])["prefix", "tenant", "cache_salt", "all"]).Where(query.ContainsKey).ToArray();
        if (asked.Length != 1)
            return new RequestFailure(FailureKind.InvalidValue, "Say what to delete by exactly one of ?prefix=ID, ?tenant=NAME, ?cache_salt=SALT and ?all=true.", asked.FirstOrDefault());
        var value = query[asked[0]].ToString();
        if (asked[0] == "all" && value != "true") return new RequestFailure(FailureKind.InvalidValue, $"Invalid 'all': '{value}' is not true.", "all");
        var deleted = await (asked[0] switch
        {
            "prefix" => engine.DeletePrefixAsync(value),
            "tenant" => engine.DeleteTenantAsync(value),
            "cache_salt" => NeverNull(engine.DeleteSaltAsync(value)),
            _ => NeverNull(engine.DeleteAllAsync()),
        }).WaitAsync(http.RequestAborted);
        if (deleted is null) return NotFound(asked[0], value, asked[0]);
        var answer = new KvDeleted("kv.deleted", new BlocksByTier(deleted.DeviceBlocks, deleted.HostBlocks, deleted.DiskBlocks), deleted.Pins, deleted.RequestsKeeping);
        await Answers.WriteAsync(http, answer, MemoryJson.Wire.KvDeleted);
        return null;
    });

    private async Task RunAsync(HttpContext http, Func<Task<RequestFailure?>> answer)
    {
        if (!state.TryEnter(out var failure))
        {
            await Answers.WriteAsync(http, failure);
            return;
        }
        try
        {
            failure = await answer();
        }
        catch (RequestException error)
        {
            failure = ChatPipeline.ToFailure(error);
        }
        finally
        {
            state.Leave();
        }
        if (failure is not null) await Answers.WriteAsync(http, failure);
    }

    /// <summary>The model that the query names, or null.</summary>
    private static string? Asked(HttpContext http) => (string?)http.Request.Query["model"];

    private static bool TryEncode(KvasirEngine engine, KvPinRequest request, out ImmutableArray<int> ids, out RequestFailure? failure)
    {
        (ids, failure) = (request.Ids, null);
        var pipeline = engine.Pipeline;
        if (request.Prompt is { } text) ids = [.. pipeline.Tokenizer.Encode(text, request.AddSpecialTokens, parseSpecial: true)];
        if (request.Messages is not { } messages) return true;
        if (!pipeline.TryRender(new ChatPrompt(messages, request.Tools, request.AddGenerationPrompt, request.TemplateArguments), out var rendered, out failure)) return false;
        ids = pipeline.EncodeChat(rendered);
        return true;
    }

    private static bool TryNumber(HttpContext http, string name, int absent, int minimum, int maximum, out int number, out RequestFailure? failure)
    {
        (number, failure) = (absent, null);
        if (!http.Request.Query.TryGetValue(name, out var text)) return true;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number >= minimum && number <= maximum) return true;
        failure = new RequestFailure(FailureKind.InvalidValue, $"Invalid '{name}': '{text}' is not an integer between {minimum} and {maximum}.", name);
        return false;
    }

    private static async Task<KvDeletion?> NeverNull(Task<KvDeletion> deletion) => await deletion;

    private static RequestFailure NotFound(string what, string value, string param) =>
        new(FailureKind.KvNotFound, $"No {what} '{(value.Length <= 100 ? value : value[..100] + "…")}' is cached here; GET {Routes.Kv} lists what is.", param);

    private static KvPinAnswer Pin(KvPin pin) => new(pin.Id, pin.Tenant, pin.Tokens, pin.Bytes, pin.SecondsLeft);

    private static KvPrefixAnswer Prefix(CachedPrefix prefix) => new(prefix.Id, prefix.Parent, prefix.Tenant, prefix.TokensBefore, prefix.Tokens,
        new BlocksByTier(prefix.DeviceBlocks, prefix.HostBlocks, prefix.DiskBlocks), prefix.InUse, prefix.IsPinned, prefix.IdleSeconds);
}

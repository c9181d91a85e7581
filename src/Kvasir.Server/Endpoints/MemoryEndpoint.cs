using System.Collections.Immutable;
using Kvasir.Engine;
using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;
using Kvasir.Protocol.Memory;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Transport;
using Kvasir.Server.Turns;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary><c>GET /v1/memory</c>: where every byte is, and when it will be full.</summary>
internal sealed class MemoryEndpoint(ServerState state)
{
    public async Task HandleAsync(HttpContext http)
    {
        var name = (string?)http.Request.Query["model"];
        if (!state.TryFind(name, out var model, out var failure))
        {
            await Answers.WriteAsync(http, failure);
            return;
        }
        ImmutableArray<ServedModel> models = name is null ? state.Models : [model];
        try
        {
            var reports = await Task.WhenAll(models.Select(served => served.Engine.Engine.MemoryAsync())).WaitAsync(http.RequestAborted);
            var lines = MemoryLedger.LinesOf([.. models.Select(served => served.Engine.Engine.Ledger)]);
            var answers = models.Select((served, index) => Answer(served, reports[index], lines[index])).ToArray();
            await Answers.WriteAsync(http, answers.Length == 1 ? answers[0] : MemorySum.Of(answers, state.Ledger!.BudgetBytes), MemoryJson.Wire.MemoryAnswer);
        }
        catch (RequestException error)
        {
            await Answers.WriteAsync(http, ChatPipeline.ToFailure(error));
        }
    }

    private MemoryAnswer Answer(ServedModel model, MemoryReport report, ImmutableArray<LedgerLine> lines)
    {
        var now = report.State;
        var reserved = lines.Sum(line => line.Bytes);
        var first = report.Tiers.Where(tier => tier.SecondsUntilFull is not null).MinBy(tier => tier.SecondsUntilFull);
        return new MemoryAnswer
        {
            Object = "memory",
            BudgetBytes = now.BudgetBytes,
            ReservedBytes = reserved,
            FreeBytes = now.BudgetBytes - reserved,
            Process = new ProcessMemory(Environment.WorkingSet, GC.GetTotalMemory(false)),
            Tree = LedgerTree.Of(lines, report.Tiers[0]),
            Kv = new KvMemoryUse(BlockTable.BlockTokens, report.BlockBytes, [.. report.Tiers.Select(Tier)], [Model(model, report)], [.. report.Tenants.Select(Tenant)]),
            Forecast = new MemoryForecast(MemoryReport.WindowSeconds, first is null ? null : Name(first), first?.SecondsUntilFull),
            Requests = [.. report.Requests.Select(request => Request(request) with { Model = state.Models.Length > 1 ? model.Name : null })],
            Totals = new EngineTotals(now.PromptTokens, now.GeneratedTokens, now.PrefixQueryTokens, now.PrefixHitTokens, now.Preemptions, now.KvEvictions,
                now.Steps, now.StepSeconds, (state.Time.GetUtcNow() - state.Started).TotalSeconds),
        };
    }

    private ModelMemory Model(ServedModel model, MemoryReport report)
    {
        var bytes = new ModelMemory(model.Name, report.Tiers[0].Bytes - report.Tiers[0].FreeBytes,
            report.Tiers.Where(tier => Name(tier) == "host").Sum(tier => tier.CachedBytes), report.Tiers.Where(tier => Name(tier) == "disk").Sum(tier => tier.CachedBytes));
        return state.Models.Length == 1 ? bytes : bytes with { State = model.State, Waiting = state.Turns!.Waiting(model) };
    }

    private static string Name(TierUse tier) => tier.Tier.ToString().ToLowerInvariant();

    private static TierMemory Tier(TierUse tier) => new(Name(tier), tier.Bytes, tier.InUseBytes, tier.PinnedBytes, tier.CachedBytes, tier.FreeBytes,
        tier.GrowthBytesPerSecond, tier.SecondsUntilFull, tier.SecondsUntilEviction);

    private static TenantMemory Tenant(TenantUse tenant) =>
        new(tenant.Tenant, tenant.InUseBytes, tenant.PinnedBytes, tenant.CachedBytes, tenant.HostBytes, tenant.DiskBytes);

    private static RequestMemory Request(RequestUse request) => new(request.Id, request.Tenant, request.IsRunning ? "running" : "waiting",
        request.PromptTokens, request.CachedTokens, request.GeneratedTokens, request.Bytes, request.SharedBytes, request.Seconds, request.Preemptions);
}

using Kvasir.Engine;
using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;
using Kvasir.Protocol.Memory;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Transport;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary><c>GET /v1/memory</c>: where every byte is, and when it will be full.</summary>
internal sealed class MemoryEndpoint(ServerState state)
{
    public async Task HandleAsync(HttpContext http)
    {
        if (state.Engine is not { } engine)
        {
            await Answers.WriteAsync(http, new RequestFailure(FailureKind.Loading, "The model is still loading; try again in a moment."));
            return;
        }
        try
        {
            var report = await engine.Engine.MemoryAsync().WaitAsync(http.RequestAborted);
            await Answers.WriteAsync(http, Answer(report), MemoryJson.Wire.MemoryAnswer);
        }
        catch (RequestException error)
        {
            await Answers.WriteAsync(http, ChatPipeline.ToFailure(error));
        }
    }

    private MemoryAnswer Answer(MemoryReport report)
    {
        var now = report.State;
        var reserved = now.Ledger.Sum(line => line.Bytes);
        var first = report.Tiers.Where(tier => tier.SecondsUntilFull is not null).MinBy(tier => tier.SecondsUntilFull);
        return new MemoryAnswer
        {
            Object = "memory",
            BudgetBytes = now.BudgetBytes,
            ReservedBytes = reserved,
            FreeBytes = now.BudgetBytes - reserved,
            Process = new ProcessMemory(Environment.WorkingSet, GC.GetTotalMemory(false)),
            Tree = LedgerTree.Of(now.Ledger, report.Tiers[0]),
            Kv = new KvMemoryUse(BlockTable.BlockTokens, report.BlockBytes, [.. report.Tiers.Select(Tier)], [Model(report)], [.. report.Tenants.Select(Tenant)]),
            Forecast = new MemoryForecast(MemoryReport.WindowSeconds, first is null ? null : Name(first), first?.SecondsUntilFull),
            Requests = [.. report.Requests.Select(Request)],
            Totals = new EngineTotals(now.PromptTokens, now.GeneratedTokens, now.PrefixQueryTokens, now.PrefixHitTokens, now.Preemptions, now.KvEvictions,
                now.Steps, now.StepSeconds, (state.Time.GetUtcNow() - state.Started).TotalSeconds),
        };
    }

    private ModelMemory Model(MemoryReport report) => new(state.ModelNames[0], report.Tiers[0].Bytes - report.Tiers[0].FreeBytes,
        report.Tiers.Where(tier => Name(tier) == "host").Sum(tier => tier.CachedBytes), report.Tiers.Where(tier => Name(tier) == "disk").Sum(tier => tier.CachedBytes));

    private static string Name(TierUse tier) => tier.Tier.ToString().ToLowerInvariant();

    private static TierMemory Tier(TierUse tier) => new(Name(tier), tier.Bytes, tier.InUseBytes, tier.PinnedBytes, tier.CachedBytes, tier.FreeBytes,
        tier.GrowthBytesPerSecond, tier.SecondsUntilFull, tier.SecondsUntilEviction);

    private static TenantMemory Tenant(TenantUse tenant) =>
        new(tenant.Tenant, tenant.InUseBytes, tenant.PinnedBytes, tenant.CachedBytes, tenant.HostBytes, tenant.DiskBytes);

    private static RequestMemory Request(RequestUse request) => new(request.Id, request.Tenant, request.IsRunning ? "running" : "waiting",
        request.PromptTokens, request.CachedTokens, request.GeneratedTokens, request.Bytes, request.SharedBytes, request.Seconds, request.Preemptions);
}

using Kvasir.Protocol.Memory;

namespace Kvasir.Server.Endpoints;

/// <summary>The memory of several models as one answer: the ledger's tree by model, tiers and tenants added up.</summary>
internal static class MemorySum
{
    /// <param name="models">Each model's own answer.</param>
    /// <param name="budgetBytes">What all may hold together; their shares may be more.</param>
    public static MemoryAnswer Of(IReadOnlyList<MemoryAnswer> models, long budgetBytes)
    {
        var reserved = models.Sum(model => model.ReservedBytes);
        var first = models.Select(model => model.Forecast).Where(forecast => forecast.Tier is not null).MinBy(forecast => forecast.SecondsUntilFull);
        return models[0] with
        {
            BudgetBytes = budgetBytes,
            ReservedBytes = reserved,
            FreeBytes = budgetBytes - reserved,
            Tree = new MemoryNode("reserved", reserved, [.. models.Select(model => model.Tree with { Name = model.Kv.Models[0].Model })]),
            Kv = Kv([.. models.Select(model => model.Kv)]),
            Forecast = first ?? models[0].Forecast,
            Requests = [.. models.SelectMany(model => model.Requests)],
            Totals = models.Select(model => model.Totals).Aggregate(Add),
        };
    }

    private static KvMemoryUse Kv(IReadOnlyList<KvMemoryUse> models) => new(
        models[0].BlockTokens,
        models.All(model => model.BlockBytes == models[0].BlockBytes) ? models[0].BlockBytes : 0,
        [.. models.SelectMany(Tiers).GroupBy(tier => tier.Tier).Select(tier => tier.Aggregate(Add))],
        [.. models.SelectMany(model => model.Models)],
        [.. models.SelectMany(model => model.Tenants).GroupBy(tenant => tenant.Tenant).Select(tenant => tenant.Aggregate(Add))]);

    /// <summary>The tiers; the device of a model that sleeps is the system's again.</summary>
    private static IEnumerable<TierMemory> Tiers(KvMemoryUse model) => model.Tiers.Select((tier, index) => index > 0 || model.Models[0].State == "awake" ? tier
        : new TierMemory(tier.Tier, 0, 0, 0, 0, 0, 0, null, null));

    private static TierMemory Add(TierMemory a, TierMemory b) => new(a.Tier, a.Bytes + b.Bytes, a.InUseBytes + b.InUseBytes, a.PinnedBytes + b.PinnedBytes,
        a.CachedBytes + b.CachedBytes, a.FreeBytes + b.FreeBytes, a.GrowthBytesPerSecond + b.GrowthBytesPerSecond,
        Sooner(a.SecondsUntilFull, b.SecondsUntilFull), Sooner(a.SecondsUntilEviction, b.SecondsUntilEviction));

    private static TenantMemory Add(TenantMemory a, TenantMemory b) => new(a.Tenant, a.InUseBytes + b.InUseBytes, a.PinnedBytes + b.PinnedBytes,
        a.CachedBytes + b.CachedBytes, a.HostBytes + b.HostBytes, a.DiskBytes + b.DiskBytes);

    private static EngineTotals Add(EngineTotals a, EngineTotals b) => new(a.PromptTokens + b.PromptTokens, a.GeneratedTokens + b.GeneratedTokens,
        a.PrefixQueryTokens + b.PrefixQueryTokens, a.PrefixHitTokens + b.PrefixHitTokens, a.Preemptions + b.Preemptions, a.Evictions + b.Evictions,
        a.Steps + b.Steps, a.StepSeconds + b.StepSeconds, a.UptimeSeconds);

    private static double? Sooner(double? a, double? b) => a is null ? b : b is null ? a : Math.Min(a.Value, b.Value);
}

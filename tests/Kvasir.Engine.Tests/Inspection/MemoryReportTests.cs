using Kvasir.Engine.Inspection;
using Kvasir.Engine.Tests.Serving;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.Tests.Inspection;

public sealed class MemoryReportTests
{
    [Fact]
    public async Task Every_byte_of_the_cache_is_in_one_part_and_has_one_owner()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvHostBytes = 1 << 20 });
        engine.Submit(SteppedEngine.Ask(40, 3, first: 5));
        engine.Finish();
        engine.Submit(SteppedEngine.Ask(50, 40) with { Id = "mine", CacheSalt = "a" });
        engine.Submit(SteppedEngine.Ask(70, 40, first: 9) with { Id = "yours" });
        engine.Step(10);
        var report = await Report(engine);
        var device = report.Tiers[0];
        Assert.Equal([KvTier.Device, KvTier.Host], report.Tiers.Select(tier => tier.Tier));
        Assert.Equal(report.State.KvBlocks * report.BlockBytes, device.Bytes);
        Assert.Equal(report.State.Ledger.Single(line => line.Name == "kv/device").Bytes, device.Bytes);
        Assert.Equal(report.State.KvBlocksUsed * report.BlockBytes, device.InUseBytes + device.PinnedBytes);
        Assert.Equal(report.State.KvBlocksIdle * report.BlockBytes, device.CachedBytes);
        Assert.Equal(device.InUseBytes, report.Tenants.Sum(tenant => tenant.InUseBytes));
        Assert.Equal(device.CachedBytes, report.Tenants.Sum(tenant => tenant.CachedBytes));
        Assert.Equal(device.InUseBytes, report.Requests.Sum(request => request.Bytes) + report.Requests.Max(request => request.SharedBytes));
        Assert.Equal(["mine", "yours"], report.Requests.Select(request => request.Id));
        Assert.Equal([TenantName.Of("a"), TenantName.Default], report.Requests.Select(request => request.Tenant));
        Assert.All(report.Requests, request => Assert.True(request is { IsRunning: true, GeneratedTokens: > 0, Bytes: > 0 }));
    }

    [Fact]
    public async Task Blocks_below_the_device_are_told_by_tenant()
    {
        await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvTokens = 128, ContextTokens = 128, KvHostBytes = 1 << 20 });
        foreach (var (salt, first) in ((string?, int)[])[("a", 1), (null, 2), ("a", 3), (null, 4)])
        {
            engine.Submit(SteppedEngine.Ask(100, 2, first: first) with { CacheSalt = salt });
            engine.Finish();
        }
        var report = await Report(engine);
        Assert.Equal(report.Tiers[1].CachedBytes, report.Tenants.Sum(tenant => tenant.HostBytes));
        Assert.Equal([TenantName.Of("a"), TenantName.Default], report.Tenants.Where(tenant => tenant.HostBytes > 0).Select(tenant => tenant.Tenant).OrderDescending().Reverse());
    }

    [Fact]
    public void A_name_of_a_tenant_does_not_tell_its_salt()
    {
        Assert.Equal(16, TenantName.Of("secret").Length);
        Assert.NotEqual(TenantName.Of("secret"), TenantName.Of("Secret"));
        Assert.Equal("default", TenantName.Of((string?)null));
    }

    [Fact]
    public async Task An_engine_that_ended_answers_no_question()
    {
        var engine = new SteppedEngine(SteppedEngine.Roomy);
        var asked = engine.Engine.MemoryAsync();
        await engine.DisposeAsync();
        Assert.Equal(RefusalKind.Closing, (await Assert.ThrowsAsync<RequestException>(() => asked)).Kind);
        Assert.Equal(RefusalKind.Closing, (await Assert.ThrowsAsync<RequestException>(() => engine.Engine.MemoryAsync())).Kind);
    }

    private static async Task<MemoryReport> Report(SteppedEngine engine)
    {
        var report = engine.Engine.MemoryAsync();
        engine.Step();
        return await report;
    }
}

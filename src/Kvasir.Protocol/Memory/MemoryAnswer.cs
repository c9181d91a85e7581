using System.Text.Json.Serialization;

namespace Kvasir.Protocol.Memory;

/// <summary>Answer of <c>GET /v1/memory</c>; docs/reference/http-api.md describes it.</summary>
public sealed record MemoryAnswer
{
    /// <summary>"memory".</summary>
    public required string Object { get; init; }
    /// <summary>What the ledger may hold, in bytes.</summary>
    public required long BudgetBytes { get; init; }
    /// <summary>What is reserved, in bytes.</summary>
    public required long ReservedBytes { get; init; }
    /// <summary>The budget's rest, in bytes.</summary>
    public required long FreeBytes { get; init; }
    /// <summary>The process as the operating system sees it.</summary>
    public required ProcessMemory Process { get; init; }
    /// <summary>The ledger by owner.</summary>
    public required MemoryNode Tree { get; init; }
    /// <summary>The KV cache.</summary>
    public required KvMemoryUse Kv { get; init; }
    /// <summary>When it will be full.</summary>
    public required MemoryForecast Forecast { get; init; }
    /// <summary>Requests now.</summary>
    public required IReadOnlyList<RequestMemory> Requests { get; init; }
    /// <summary>What has happened since the start.</summary>
    public required EngineTotals Totals { get; init; }
}

/// <summary>The process.</summary>
/// <param name="ResidentBytes">Its resident memory.</param>
/// <param name="ManagedHeapBytes">Managed objects, garbage included.</param>
public sealed record ProcessMemory(long ResidentBytes, long ManagedHeapBytes);

/// <summary>An owner's bytes and what they consist of.</summary>
/// <param name="Name">The owner.</param>
/// <param name="Bytes">Its bytes, those of its children included.</param>
/// <param name="Children">Parts that add up to it; none for one that is not divided further.</param>
public sealed record MemoryNode(string Name, long Bytes, IReadOnlyList<MemoryNode> Children);

/// <summary>The KV cache.</summary>
/// <param name="BlockTokens">Tokens in a block.</param>
/// <param name="BlockBytes">Bytes of a block on the device; 0 for several models whose blocks differ.</param>
/// <param name="Tiers">The tiers, the device first.</param>
/// <param name="Models">Who has it, by model.</param>
/// <param name="Tenants">Who has it, by tenant.</param>
public sealed record KvMemoryUse(
    int BlockTokens, long BlockBytes, IReadOnlyList<TierMemory> Tiers, IReadOnlyList<ModelMemory> Models, IReadOnlyList<TenantMemory> Tenants);

/// <summary>A tier: its parts are disjoint and add up to its bytes.</summary>
/// <param name="Tier">device, host, disk.</param>
/// <param name="Bytes">What it can hold.</param>
/// <param name="InUseBytes">Held by requests.</param>
/// <param name="PinnedBytes">Held by pins.</param>
/// <param name="CachedBytes">Kept for later requests.</param>
/// <param name="FreeBytes">Empty.</param>
/// <param name="GrowthBytesPerSecond">Over the forecast's window.</param>
/// <param name="SecondsUntilFull">Null when it does not grow.</param>
/// <param name="SecondsUntilEviction">Until kept blocks give way; null when it does not grow.</param>
public sealed record TierMemory(
    string Tier, long Bytes, long InUseBytes, long PinnedBytes, long CachedBytes, long FreeBytes, double GrowthBytesPerSecond, double? SecondsUntilFull, double? SecondsUntilEviction);

/// <summary>A model's part of the KV cache.</summary>
/// <param name="Model">Its name.</param>
/// <param name="DeviceBytes">In use, pinned and cached on the device.</param>
/// <param name="HostBytes">In host memory.</param>
/// <param name="DiskBytes">On disk.</param>
public sealed record ModelMemory(string Model, long DeviceBytes, long HostBytes, long DiskBytes)
{
    /// <summary>"awake" or "asleep", where several models are served.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? State { get; init; }
    /// <summary>Requests that wait for it to wake, where several models are served.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Waiting { get; init; }
}

/// <summary>A tenant's part of the KV cache.</summary>
/// <param name="Tenant">"default", "unknown" or 16 hexadecimal digits.</param>
/// <param name="InUseBytes">On the device, held by its requests.</param>
/// <param name="PinnedBytes">On the device, held by its pins.</param>
/// <param name="CachedBytes">On the device, kept for later.</param>
/// <param name="HostBytes">In host memory.</param>
/// <param name="DiskBytes">On disk.</param>
public sealed record TenantMemory(string Tenant, long InUseBytes, long PinnedBytes, long CachedBytes, long HostBytes, long DiskBytes);

/// <summary>The first tier that will be full.</summary>
/// <param name="WindowSeconds">The time over which growth is measured.</param>
/// <param name="Tier">Which; null when none grows.</param>
/// <param name="SecondsUntilFull">Null when none grows.</param>
public sealed record MemoryForecast(int WindowSeconds, string? Tier, double? SecondsUntilFull);

/// <summary>A request's part of the KV cache.</summary>
/// <param name="Id">The <c>x-request-id</c> of its answer; answers of one request share it.</param>
/// <param name="Tenant">Whose it is.</param>
/// <param name="State">"running" or "waiting".</param>
/// <param name="PromptTokens">Tokens of its prompt.</param>
/// <param name="CachedTokens">How many of those the cache held.</param>
/// <param name="GeneratedTokens">Tokens generated so far.</param>
/// <param name="Bytes">Held by it alone.</param>
/// <param name="SharedBytes">Shared with other requests or pins.</param>
/// <param name="Seconds">Since it came.</param>
/// <param name="Preemptions">How often it gave way.</param>
public sealed record RequestMemory(
    string? Id, string Tenant, string State, int PromptTokens, int CachedTokens, int GeneratedTokens, long Bytes, long SharedBytes, double Seconds, int Preemptions)
{
    /// <summary>Whose request it is, where several models are served.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Model { get; init; }
}

/// <summary>Counts since the start; rates are their differences.</summary>
/// <param name="PromptTokens">Prompt tokens computed.</param>
/// <param name="GeneratedTokens">Tokens generated.</param>
/// <param name="PrefixQueryTokens">Prompt tokens looked up in the prefix cache.</param>
/// <param name="PrefixHitTokens">How many of those it held.</param>
/// <param name="Preemptions">Requests that gave way.</param>
/// <param name="Evictions">Kept blocks that gave way.</param>
/// <param name="Steps">Steps of the engine.</param>
/// <param name="StepSeconds">Seconds spent in steps.</param>
/// <param name="UptimeSeconds">Since the server was started.</param>
public sealed record EngineTotals(
    long PromptTokens, long GeneratedTokens, long PrefixQueryTokens, long PrefixHitTokens, long Preemptions, long Evictions, long Steps, double StepSeconds, double UptimeSeconds);

using System.Collections.Immutable;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.Inspection;

/// <summary>Where the engine's memory is at one moment between two steps.</summary>
public sealed record MemoryReport
{
    /// <summary>Seconds over which growth is measured.</summary>
    public const int WindowSeconds = GrowthWindow.Seconds;

    /// <summary>Counts and the ledger.</summary>
    public required EngineSnapshot State { get; init; }
    /// <summary>Bytes of one block on the device.</summary>
    public required long BlockBytes { get; init; }
    /// <summary>The tiers, the device first.</summary>
    public required ImmutableArray<TierUse> Tiers { get; init; }
    /// <summary>Who has how much, the largest first.</summary>
    public required ImmutableArray<TenantUse> Tenants { get; init; }
    /// <summary>Requests, running ones first.</summary>
    public required ImmutableArray<RequestUse> Requests { get; init; }
}

/// <summary>A tier's keys and values. The parts are disjoint and add up to its bytes.</summary>
/// <param name="Tier">Which.</param>
/// <param name="Bytes">What it can hold.</param>
/// <param name="InUseBytes">Held by requests and not pinned.</param>
/// <param name="PinnedBytes">Held by pins.</param>
/// <param name="CachedBytes">Held by nobody, kept for later requests.</param>
/// <param name="GrowthBytesPerSecond">Over the last minute: of what is held on the device, of what is cached below.</param>
/// <param name="SecondsUntilFull">At that growth; null when it does not grow.</param>
/// <param name="SecondsUntilEviction">Until nothing is free, at the growth of all that is held and cached; null when that does not grow.</param>
public sealed record TierUse(
    KvTier Tier, long Bytes, long InUseBytes, long PinnedBytes, long CachedBytes, double GrowthBytesPerSecond, double? SecondsUntilFull, double? SecondsUntilEviction)
{
    /// <summary>Bytes that hold nothing.</summary>
    public long FreeBytes => Bytes - InUseBytes - PinnedBytes - CachedBytes;
}

/// <summary>What one tenant, that is one cache salt, has of the KV cache.</summary>
/// <param name="Tenant">See <see cref="TenantName"/>.</param>
/// <param name="InUseBytes">On the device, held by its requests and not pinned.</param>
/// <param name="PinnedBytes">On the device, held by its pins.</param>
/// <param name="CachedBytes">On the device, kept for later requests.</param>
/// <param name="HostBytes">In host memory.</param>
/// <param name="DiskBytes">On disk.</param>
public sealed record TenantUse(string Tenant, long InUseBytes, long PinnedBytes, long CachedBytes, long HostBytes, long DiskBytes);

/// <summary>What one request holds.</summary>
/// <param name="Id">The name it was submitted with; null without.</param>
/// <param name="Tenant">Whose it is.</param>
/// <param name="IsRunning">Whether it runs, or waits.</param>
/// <param name="PromptTokens">Tokens of its prompt.</param>
/// <param name="CachedTokens">How many of those the cache held.</param>
/// <param name="GeneratedTokens">Tokens generated so far.</param>
/// <param name="Bytes">Keys and values that it alone holds.</param>
/// <param name="SharedBytes">Keys and values that it shares with other requests or pins.</param>
/// <param name="Seconds">Since it was submitted.</param>
/// <param name="Preemptions">How often it gave way.</param>
public sealed record RequestUse(
    string? Id, string Tenant, bool IsRunning, int PromptTokens, int CachedTokens, int GeneratedTokens, long Bytes, long SharedBytes, double Seconds, int Preemptions);

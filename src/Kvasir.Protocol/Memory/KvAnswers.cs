using System.Text.Json.Serialization;

namespace Kvasir.Protocol.Memory;

/// <summary>Answer of <c>GET /v1/kv</c>: a page of what is cached, and all pins.</summary>
/// <param name="Object">"list".</param>
/// <param name="Total">Prefixes in all.</param>
/// <param name="Offset">Prefixes before this page.</param>
/// <param name="HasMore">Whether there are prefixes after it.</param>
/// <param name="Data">The page, the last used first.</param>
/// <param name="Pins">Pins, the oldest first.</param>
public sealed record KvList(string Object, int Total, int Offset, bool HasMore, IReadOnlyList<KvPrefixAnswer> Data, IReadOnlyList<KvPinAnswer> Pins);

/// <summary>Blocks that follow one another without a branch.</summary>
/// <param name="Id">Name of the last block.</param>
/// <param name="Parent">What it follows, or null.</param>
/// <param name="Tenant">Whose it is.</param>
/// <param name="TokensBefore">Tokens before it.</param>
/// <param name="Tokens">Its tokens.</param>
/// <param name="Blocks">How many of its blocks each tier has.</param>
/// <param name="InUse">Whether requests hold a part of it.</param>
/// <param name="Pinned">Whether pins hold a part of it.</param>
/// <param name="IdleSeconds">Since its last use; null where it is below the device alone.</param>
public sealed record KvPrefixAnswer(
    string Id, string? Parent, string Tenant, int TokensBefore, int Tokens, BlocksByTier Blocks, bool InUse, bool Pinned, double? IdleSeconds);

/// <summary>Blocks by tier.</summary>
public sealed record BlocksByTier(int Device, int Host, int Disk);

/// <summary>A pin.</summary>
/// <param name="Id">For unpinning.</param>
/// <param name="Tenant">Whose it is.</param>
/// <param name="Tokens">Tokens held.</param>
/// <param name="Bytes">Their keys and values.</param>
/// <param name="ExpiresInSeconds">Null for never.</param>
public sealed record KvPinAnswer(string Id, string Tenant, int Tokens, long Bytes, double? ExpiresInSeconds);

/// <summary>Answer of <c>POST /v1/kv/pin</c>.</summary>
/// <param name="Object">"kv.pin".</param>
/// <param name="Pin">The pin.</param>
/// <param name="PromptTokens">Tokens asked for.</param>
/// <param name="ComputedTokens">How many had to be computed.</param>
/// <param name="PinnedBytes">What pins hold now in all.</param>
/// <param name="LimitBytes">What pins may hold in all.</param>
public sealed record KvPinned(string Object, KvPinAnswer Pin, int PromptTokens, int ComputedTokens, long PinnedBytes, long LimitBytes);

/// <summary>Answer of <c>POST /v1/kv/unpin</c>.</summary>
/// <param name="Object">"kv.unpinned".</param>
/// <param name="Id">The pin that ended.</param>
public sealed record KvUnpinned(string Object, string Id);

/// <summary>Answer of <c>DELETE /v1/kv</c>.</summary>
/// <param name="Object">"kv.deleted".</param>
/// <param name="DeletedBlocks">Blocks that cannot be found any more, by tier.</param>
/// <param name="Unpinned">Pins that ended.</param>
/// <param name="RequestsKeeping">Requests that keep what they hold until they end.</param>
public sealed record KvDeleted(string Object, BlocksByTier DeletedBlocks, int Unpinned, int RequestsKeeping);

/// <summary>Whether a model sleeps.</summary>
/// <param name="IsSleeping">Whether it refuses requests, having given memory back.</param>
/// <param name="Level">0: awake; 1: the KV cache is given back; 2: the weights too.</param>
public sealed record SleepState(bool IsSleeping, int Level)
{
    /// <summary>Each of several models, where none was named; <see cref="IsSleeping"/> is true when all sleep then, and the level the lowest.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ModelSleepState>? Models { get; init; }
}

/// <summary>Whether one of several models sleeps.</summary>
/// <param name="Model">Its name.</param>
/// <param name="IsSleeping">Whether it has given memory back.</param>
/// <param name="Level">0: awake; 1: the KV cache is given back; 2: the weights too.</param>
/// <param name="WakesOnRequest">Whether a request wakes it; else it was told to sleep.</param>
public sealed record ModelSleepState(string Model, bool IsSleeping, int Level, bool WakesOnRequest);

using System.Collections.Immutable;
using Kvasir.Engine.KvCache;
using Kvasir.Kernels;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine;

/// <summary>How an engine runs. Defaults fit most machines.</summary>
public sealed record EngineOptions
{
    /// <summary>Bound on the whole process in bytes; null takes what the machine can spare.</summary>
    public long? MemoryBytes { get; init; }
    /// <summary>Where memory is reserved, in place of a ledger over <see cref="MemoryBytes"/>: a part of one that several engines share. Null for its own.</summary>
    public MemoryLedger? Ledger { get; init; }
    /// <summary>Whether the engine begins asleep at <see cref="SleepLevel.Weights"/>, its weights unread until it is woken.</summary>
    public bool StartsAsleep { get; init; }
    /// <summary>Most tokens of one sequence; null takes the model's, as far as memory goes.</summary>
    public int? ContextTokens { get; init; }
    /// <summary>Tokens that the KV cache holds in all; null takes what memory leaves, at most what all sequences can use.</summary>
    public int? KvTokens { get; init; }
    /// <summary>How keys and how values are stored.</summary>
    public KvFormats KvFormat { get; init; } = Kernels.KvFormat.F16;
    /// <summary>How much keys and values below 16 bits may raise the perplexity of a text before the engine refuses to start: 0.02 for two per cent; null not to try.</summary>
    public double? KvCanaryBound { get; init; } = 0.02;
    /// <summary>The text that they are tried with, a few hundred tokens; empty not to try. Whoever has the tokenizer fills it.</summary>
    public ImmutableArray<int> KvCanaryTokens { get; init; } = [];
    /// <summary>Share keys and values between requests that begin alike.</summary>
    public bool PrefixCache { get; init; } = true;
    /// <summary>Which kept blocks give way first.</summary>
    public EvictionKind Eviction { get; init; } = EvictionKind.Arc;
    /// <summary>Bytes of main memory for blocks that give way on the device; 0 for none.</summary>
    public long KvHostBytes { get; init; }
    /// <summary>Disk for blocks that requests have left; null for none.</summary>
    public KvDiskOptions? KvDisk { get; init; }
    /// <summary>Redis server that shares blocks between machines; needs host memory, where fetched blocks go. Null for none.</summary>
    public KvRemoteOptions? KvRemote { get; init; }
    /// <summary>Which blocks go to disk and server.</summary>
    public KvWriteFilter KvWrites { get; init; }
    /// <summary>Share of the device's blocks that pins may hold in all, 0 to 1.</summary>
    public double KvPinShare { get; init; } = 0.5;
    /// <summary>Told what an operator should know and no request can: a tier that ended, what keys and values in few bits cost.</summary>
    public Action<string> Warn { get; init; } = static _ => { };
    /// <summary>Told after a step which blocks came and went, on the engine's thread; null for nobody.</summary>
    public Action<KvEventBatch>? KvEvents { get; init; }
    /// <summary>Sequences that run at once.</summary>
    public int MaxSequences { get; init; } = 16;
    /// <summary>Share of the device that the running requests of one tenant may hold while there are others, and of every tier that its kept blocks may; above 0 to 1. One request always may run.</summary>
    public double TenantKvShare { get; init; } = 1;
    /// <summary>Requests that may wait; one more is refused.</summary>
    public int MaxQueue { get; init; } = 256;
    /// <summary>Prompt tokens of one step while nothing decodes.</summary>
    public int ChunkTokens { get; init; } = 512;
    /// <summary>Prompt tokens of one step while sequences decode: the longest that a running stream waits for a prompt.</summary>
    public int MixedChunkTokens { get; init; } = 128;
    /// <summary>Threads that compute; null takes one per core.</summary>
    public int? Threads { get; init; }
    /// <summary>Use weights where they lie in the mapped file: starts at once, computes slower.</summary>
    public bool Mapped { get; init; }

    /// <summary>The first option out of range, as a sentence; null when all are fine.</summary>
    public string? Problem() =>
        MemoryBytes is <= 0 ? $"The memory bound is {MemoryBytes} bytes, but must be positive."
        : ContextTokens is < 16 ? $"The context is {ContextTokens} tokens, but must be at least 16."
        : KvTokens is < 16 ? $"The KV cache is {KvTokens} tokens, but must be at least 16."
        : KvCanaryBound is { } bound && !(bound >= 0) ? $"The bound on the perplexity's rise is {bound}, but cannot be negative."
        : KvHostBytes < 0 ? $"The KV tier in main memory is {KvHostBytes} bytes, but cannot be negative."
        : KvDisk is { Bytes: <= 0 } ? $"The KV tier on disk is {KvDisk.Bytes} bytes, but must be positive."
        : KvDisk is { Key.Length: not KvDiskOptions.KeyBytes } ? $"The key of the KV tier on disk has {KvDisk.Key.Length} bytes, but must have {KvDiskOptions.KeyBytes}."
        : !PrefixCache && (KvHostBytes > 0 || KvDisk is not null || KvRemote is not null) ? "KV tiers keep what the prefix cache shares; they need it on."
        : KvRemote is not null && KvHostBytes == 0 ? "Blocks from a remote KV tier come through main memory; give it some with --kv-host."
        : KvRemote is { } remote && (remote.Address.Scheme is not ("redis" or "rediss") || remote.Address.Host.Length == 0) ? $"The remote KV tier is '{remote.Address}', but must be redis://host:port, or rediss:// for TLS."
        : !(KvPinShare is >= 0 and <= 1) ? $"The share of the KV cache that pins may hold is {KvPinShare}, but must be between 0 and 1."
        : MaxSequences is < 1 or > 4096 ? $"The number of sequences is {MaxSequences}, but must be between 1 and 4096."
        : TenantKvShare is not (> 0 and <= 1) ? $"A tenant's share of the KV cache is {TenantKvShare}, but must be above 0 and at most 1."
        : MaxQueue < 0 ? $"The queue is {MaxQueue} requests, but cannot be negative."
        : ChunkTokens is < 16 or > 16384 ? $"The chunk is {ChunkTokens} tokens, but must be between 16 and 16384."
        : MixedChunkTokens < 1 || MixedChunkTokens > ChunkTokens ? $"The mixed chunk is {MixedChunkTokens} tokens, but must be between 1 and the chunk's {ChunkTokens}."
        : Threads is < 1 or > 1024 ? $"The number of threads is {Threads}, but must be between 1 and 1024."
        : null;
}

/// <summary>Which full blocks are written to disk and server.</summary>
public enum KvWriteFilter
{
    /// <summary>Every one, when its request has left it: a conversation goes on after a restart, whatever ended the process.</summary>
    All,
    /// <summary>Those that a second request has used: what is asked once costs no writing.</summary>
    Reused,
    /// <summary>Those that give way on the device, as many as the disk takes then, and all when the engine ends or sleeps.</summary>
    Evicted,
}

/// <summary>A KV tier on disk.</summary>
/// <param name="Folder">Where; each model gets a folder of its own in it.</param>
/// <param name="Bytes">Most bytes of its files.</param>
/// <param name="Key">32 bytes that seal what is written (AES-256-GCM), or null.</param>
public sealed record KvDiskOptions(string Folder, long Bytes, byte[]? Key = null)
{
    /// <summary>Length of a key.</summary>
    public const int KeyBytes = 32;
}

/// <summary>A KV tier on a Redis server.</summary>
/// <param name="Address"><c>redis://[user:password@]host[:port][/database]</c>, or <c>rediss</c> for TLS.</param>
public sealed record KvRemoteOptions(Uri Address)
{
    /// <summary>How long the server keeps a block that nobody stores again.</summary>
    public TimeSpan TimeToLive { get; init; } = TimeSpan.FromDays(1);
}

using System.Collections.Immutable;
using CsCheck;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.Sampling;
using Kvasir.Kernels;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests.Serving;

/// <summary>A request of a schedule.</summary>
/// <param name="Arrival">The step before which it comes.</param>
/// <param name="Start">Which of a few texts it begins with.</param>
/// <param name="Prompt">Its prompt's tokens.</param>
/// <param name="Tokens">Most tokens to generate.</param>
/// <param name="Leaves">Steps after which its client leaves; above 50 it stays.</param>
/// <param name="Kind">How it samples, and what else it wants.</param>
/// <param name="Seed">Of its draws.</param>
internal sealed record PlannedRequest(int Arrival, int Start, int Prompt, int Tokens, int Leaves, int Kind, ulong Seed)
{
    public static Gen<PlannedRequest> Gen { get; } =
        CsCheck.Gen.Select(CsCheck.Gen.Int[0, 30], CsCheck.Gen.Int[0, 5], CsCheck.Gen.Int[1, 70], CsCheck.Gen.Int[0, 60], CsCheck.Gen.Int[0, 120], CsCheck.Gen.Int[0, 7], CsCheck.Gen.ULong[0, 3],
            (arrival, start, prompt, tokens, leaves, kind, seed) => new PlannedRequest(arrival, start, prompt, tokens, leaves, kind, seed));

    /// <summary>Some requests, the same everywhere.</summary>
    public static PlannedRequest[] Of(uint number, int count) => Gen.Array[count].Generate(new PCG(number, 1), null, out _);

    /// <summary>Whether somebody pins or deletes what it is about.</summary>
    public bool Disturbs => Leaves % 4 == 0;

    public bool Stays => Leaves > 50;

    /// <summary>Texts agree for 0, 21, 42 … tokens, and then part.</summary>
    public GenerationRequest Request => new()
    {
        Prompt = [.. Enumerable.Range(0, Prompt).Select(i => i < 21 * (Start / 2) ? i % 300 : (i + 31 * Start) % 300)],
        MaxTokens = Tokens,
        Sampling = (Kind switch
        {
            0 or 1 => SamplingOptions.Greedy,
            2 => new() { TopK = 20, RepetitionPenalty = 1.3f },
            3 => new() { TopP = 0.8f, FrequencyPenalty = 0.5f },
            4 => new() { MinP = 0.01f, Temperature = 1.5f },
            _ => new SamplingOptions(),
        }) with { Seed = Seed },
        StopTokens = Kind == 5 ? [.. Enumerable.Range(0, 30)] : [],
        CacheSalt = Kind == 6 ? "another tenant" : null,
        Priority = (int)Seed - 1,
        Tenant = Start % 3 == 0 ? null : $"tenant {Start % 3}",
        PromptLogProbabilities = Kind == 7,
        LogProbabilities = true,
        Explain = true,
        // Half of the requests want to stay longer than others, or shorter.
        Retention = Seed % 2 == 0 ? null : new KvRetention(Kind * 14, TimeSpan.FromMinutes(1 + Leaves)),
    };
}

/// <summary>An engine with little room and what is asked of it when.</summary>
internal sealed record RandomSchedule(SyntheticFamily Family, EngineOptions Options, ImmutableArray<PlannedRequest> Requests)
{
    public static Gen<RandomSchedule> Gen { get; } = CsCheck.Gen.Select(
        CsCheck.Gen.Int[0, 2].Select(family => family switch { 0 => SyntheticFamily.Llama, 1 => SyntheticFamily.Gemma3, _ => SyntheticFamily.Mistral }),
        CsCheck.Gen.Select(CsCheck.Gen.Int[4, 10], CsCheck.Gen.Int[1, 6], CsCheck.Gen.Int[16, 48], CsCheck.Gen.Int[1, 16], CsCheck.Gen.Bool, Formats, CsCheck.Gen.Enum<EvictionKind>(), CsCheck.Gen.Int[0, 3], Small),
        PlannedRequest.Gen.Array[1, 10],
        (family, options, requests) => new RandomSchedule(family, options, [.. requests]));

    /// <summary>One for keys and values in half of the schedules, two in the others.</summary>
    private static Gen<KvFormats> Formats => CsCheck.Gen.Select(CsCheck.Gen.Enum<KvFormat>(), CsCheck.Gen.Enum<KvFormat>(), CsCheck.Gen.Bool, (keys, values, alike) => new KvFormats(keys, alike ? keys : values));

    /// <summary>The schedule of a number, the same everywhere.</summary>
    public static RandomSchedule Of(uint number) => Gen.Generate(new PCG(number, 1), null, out _);

    private static EngineOptions Small(int blocks, int sequences, int chunk, int mixedChunk, bool shares, KvFormats formats, EvictionKind eviction, int tiers) => new()
    {
        // Half of those that share have host memory below the device, half of these a disk too; the test gives it a folder.
        KvHostBytes = shares && tiers > 1 ? 150_000 : 0, KvDisk = shares && tiers == 3 ? new KvDiskOptions("", 1_000_000) : null, KvWrites = (KvWriteFilter)(blocks % 3),
        MemoryBytes = 1L << 30, ContextTokens = 96, KvTokens = 16 * blocks, MaxSequences = sequences, ChunkTokens = chunk, MixedChunkTokens = mixedChunk,
        TenantKvShare = sequences % 2 == 0 ? 1 : 0.5, PrefixCache = shares, KvFormat = formats, Eviction = eviction, Threads = 1,
    };

    public override string ToString() => $"{Family} {Options}\n{string.Join('\n', Requests)}";
}

using System.Collections.Immutable;
using System.Diagnostics;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Index;
using Kvasir.Gateway.Routing;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Cli.Benchmarks.Fleet;

/// <summary>What routing itself costs.</summary>
/// <param name="Workers">In the fleet.</param>
/// <param name="PromptTokens">Of each decided prompt.</param>
/// <param name="IndexBlocks">In the index while deciding.</param>
/// <param name="Seconds">Of each decision, sorted.</param>
/// <param name="ProcessorSeconds">Processor time of a decision, on average.</param>
/// <param name="BytesPerDecision">Garbage.</param>
/// <param name="OperationsPerSecond">Blocks stored and removed per second of one processor's time.</param>
/// <param name="BytesPerBlock">Of an index of <paramref name="MeasuredBlocks"/>.</param>
/// <param name="MeasuredBlocks">Blocks that were stored to measure.</param>
public sealed record DecisionFigures(int Workers, int PromptTokens, long IndexBlocks, ImmutableArray<double> Seconds, double ProcessorSeconds, double BytesPerDecision,
    double OperationsPerSecond, double BytesPerBlock, long MeasuredBlocks);

/// <summary>Measures decisions over a fleet whose caches hold parts of the prompts, and the index on its own.</summary>
internal static class DecisionBenchmark
{
    private const int Workers = 100, PromptTokens = 128 * 1024, BlockSize = 16, Prompts = 8, FillerPrompts = 2, Decisions = 2000, WarmUp = 300;
    private const int IndexSequences = 4000, IndexBlocksPerSequence = 500;

    public static DecisionFigures Run(int seed)
    {
        var random = new Random(seed);
        var fleet = new WorkerFleet(TimeProvider.System);
        fleet.Apply([.. Enumerable.Range(0, Workers).Select(i => WorkerAddress.Parse($"vllm=http://10.0.{i / 250}.{(i % 250) + 1}:8000"))]);
        using var caches = new CacheView(fleet.Capacity, TimeProvider.System);
        var router = new Router(fleet, caches, new DecisionLog(), TimeProvider.System, random);
        var prompts = Enumerable.Range(0, Prompts).Select(_ => Tokens(random, PromptTokens)).ToArray();
        ulong key = 0;
        foreach (var worker in fleet.Workers)
        {
            foreach (var prompt in prompts) caches.Events.Apply(worker, 0, Stored(prompt.AsSpan(0, random.Next(1, PromptTokens / BlockSize) * BlockSize), ref key));
            for (var i = 0; i < FillerPrompts; i++) caches.Events.Apply(worker, 0, Stored(Tokens(random, PromptTokens / 8), ref key));
        }
        var asked = prompts.Select(Gateway.Requests.PromptTokens.Of).ToArray();
        var seconds = new double[Decisions];
        long allocated = 0;
        var processor = TimeSpan.Zero;
        for (var i = -WarmUp; i < Decisions; i++)
        {
            if (i == 0) (allocated, processor) = (GC.GetAllocatedBytesForCurrentThread(), Environment.CpuUsage.TotalTime);
            var start = Stopwatch.GetTimestamp();
            router.Decide("benchmark", null, asked[(i + WarmUp) % Prompts], 0, []);
            if (i >= 0) seconds[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        processor = Environment.CpuUsage.TotalTime - processor;
        var (operations, bytes, blocks) = Index(random);
        return new DecisionFigures(Workers, PromptTokens, caches.Events.Blocks, [.. seconds.Order()], processor.TotalSeconds / Decisions, (double)allocated / Decisions, operations, bytes, blocks);
    }

    /// <summary>Stores sequences of blocks and removes every second one, as a busy cache does.</summary>
    private static (double OperationsPerSecond, double BytesPerBlock, long Blocks) Index(Random random)
    {
        var index = new EventIndex(BlockSize, Workers);
        ulong key = 0;
        var stored = Enumerable.Range(0, IndexSequences).Select(_ => Stored(Tokens(random, IndexBlocksPerSequence * BlockSize), ref key).Events[0]).ToArray();
        // Whatever else runs on the machine, what an operation costs is processor time.
        var start = Environment.CpuUsage.TotalTime;
        long operations = 0;
        for (var i = 0; i < stored.Length; i++)
        {
            index.Apply(i % Workers, stored[i]);
            operations += IndexBlocksPerSequence;
        }
        var bytesPerBlock = (double)index.Bytes / index.Blocks;
        var blocks = index.Blocks;
        for (var i = 0; i < stored.Length; i += 2)
        {
            index.Apply(i % Workers, new BlocksRemoved { Blocks = ((BlocksStored)stored[i]).Blocks });
            operations += IndexBlocksPerSequence;
        }
        return (operations / (Environment.CpuUsage.TotalTime - start).TotalSeconds, bytesPerBlock, blocks);
    }

    private static KvEventBatch Stored(ReadOnlySpan<int> tokens, ref ulong key)
    {
        var blocks = ImmutableArray.CreateBuilder<BlockKey>(tokens.Length / BlockSize);
        // Engines' keys are hashes: these are spread as hashes are.
        for (var i = 0; i < tokens.Length / BlockSize; i++) blocks.Add(BlockKey.FromInteger(++key * 0x9E37_79B9_7F4A_7C15UL));
        return new KvEventBatch(0, [new BlocksStored { Blocks = blocks.MoveToImmutable(), Tokens = [.. tokens], BlockSize = BlockSize }]);
    }

    private static int[] Tokens(Random random, int count)
    {
        var tokens = new int[count];
        for (var i = 0; i < count; i++) tokens[i] = random.Next(128_000);
        return tokens;
    }
}

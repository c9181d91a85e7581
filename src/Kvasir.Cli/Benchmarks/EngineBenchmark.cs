using System.Collections.Immutable;
using System.Diagnostics;
using Kvasir.Checkpoints;
using Kvasir.Engine;
using Kvasir.Engine.Sampling;
using Kvasir.Kernels;

namespace Kvasir.Cli.Benchmarks;

/// <summary>What to measure.</summary>
/// <param name="Prompt">Tokens of the prompt whose computing is timed.</param>
/// <param name="Generate">Tokens that each sequence generates while decoding is timed.</param>
/// <param name="Depth">Tokens that each sequence already has when it begins to decode; at least 1.</param>
/// <param name="Batches">Sequences that decode together, one measurement each.</param>
/// <param name="Repeats">Times that everything is measured.</param>
internal sealed record EngineWork(int Prompt, int Generate, int Depth, ImmutableArray<int> Batches, int Repeats)
{
    /// <summary>Tokens of the longest sequence.</summary>
    public int ContextTokens => Math.Max(16, Math.Max(Prompt + 1, Depth + Generate + 1));
}

/// <summary>
/// Measures a model on the engine that serves it: requests go in, tokens come out, clocks stand outside. Each round
/// measures the memory's read bandwidth, the prompt, and decoding at every batch size, so that what disturbs the
/// machine for a while disturbs all of them alike.
/// </summary>
internal sealed class EngineBenchmark(Checkpoint checkpoint, EngineOptions options, EngineWork work, Action<string> progress)
{
    private const int WarmUpTokens = 16;
    private readonly Random random = new(1);
    private readonly int threads = options.Threads ?? Environment.ProcessorCount;

    /// <summary>Loads the model, measures, and gives it back.</summary>
    public async Task<EngineFigures> RunAsync(CancellationToken cancel)
    {
        var peak = new PeakMemory();
        progress("loading");
        var largest = work.Batches.Max();
        var blocksEach = (work.ContextTokens + KvLayout.BlockTokens - 1) / KvLayout.BlockTokens;
        var start = Stopwatch.GetTimestamp();
        await using var engine = LlmEngine.Create(checkpoint, options with
        {
            ContextTokens = work.ContextTokens,
            MaxSequences = largest,
            KvTokens = checked(largest * blocksEach * KvLayout.BlockTokens),
        });
        var loadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        progress("warming up");
        await PrefillAsync(engine, cancel);
        await DecodeAsync(engine, largest, Math.Min(work.Generate, WarmUpTokens), cancel);

        var bandwidth = new List<double>();
        var prefill = new List<double>();
        var decode = work.Batches.Select(_ => new List<double>()).ToArray();
        for (var round = 1; round <= work.Repeats; round++)
        {
            progress($"round {round} of {work.Repeats}: bandwidth");
            bandwidth.Add(peak.Without(() => ReadBandwidth.Measure(threads)));
            progress($"round {round} of {work.Repeats}: {work.Prompt} tokens of prompt");
            prefill.Add(await PrefillAsync(engine, cancel));
            for (var i = 0; i < decode.Length; i++)
            {
                progress($"round {round} of {work.Repeats}: decoding {work.Batches[i]} at once");
                decode[i].Add(await DecodeAsync(engine, work.Batches[i], work.Generate, cancel));
            }
        }
        return new EngineFigures
        {
            Model = checkpoint.Spec.Architecture, Parameters = checkpoint.Spec.ParameterCount, FileBytes = checkpoint.FileBytes, Types = Types(checkpoint),
            Kernels = KernelCatalog.CurrentName, KvType = options.KvFormat.ToString(), Threads = threads, Work = work, LoadSeconds = loadSeconds,
            Bandwidth = new Samples([.. bandwidth]), Prefill = new Samples([.. prefill]),
            Decode = [.. work.Batches.Zip(decode, (batch, samples) => new DecodeFigures(batch, new Samples([.. samples])))],
            StepBytes = StepBytes(checkpoint.Tensors),
            Memory = Memory(engine.Plan, options.Mapped ? checkpoint.AllTensors.Sum(tensor => tensor.ByteLength) : null, peak.Bytes),
        };
    }

    /// <summary>Prompt tokens per second, from handing the request over until its first token is there.</summary>
    private async Task<double> PrefillAsync(LlmEngine engine, CancellationToken cancel)
    {
        var request = Request(work.Prompt, 1);
        var start = Stopwatch.GetTimestamp();
        await foreach (var _ in engine.Submit(request).WithCancellation(cancel))
        {
            // The one token ends the measurement.
        }
        return work.Prompt / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>
    /// Tokens per second of all sequences together, counted from when each has its first token until one has its last:
    /// only then are all of them in every step.
    /// </summary>
    private async Task<double> DecodeAsync(LlmEngine engine, int batch, int generate, CancellationToken cancel)
    {
        var requests = Enumerable.Range(0, batch).Select(_ => Request(work.Depth, generate + 1)).ToArray();
        var times = await Task.WhenAll(requests.Select(request => TimesAsync(engine.Submit(request), cancel)));
        var (first, last) = (times.Max(list => list[0]), times.Min(list => list[^1]));
        var tokens = times.Sum(list => list.Count(time => time > first && time <= last));
        return tokens == 0 ? 0 : tokens / Stopwatch.GetElapsedTime(first, last).TotalSeconds;
    }

    private static async Task<List<long>> TimesAsync(GenerationStream stream, CancellationToken cancel)
    {
        var times = new List<long>();
        await foreach (var _ in stream.WithCancellation(cancel).ConfigureAwait(false)) times.Add(Stopwatch.GetTimestamp());
        return times;
    }

    /// <summary>A prompt of its own each time: nothing of it can be cached.</summary>
    private GenerationRequest Request(int prompt, int generate) => new()
    {
        Prompt = [.. Enumerable.Range(0, prompt).Select(_ => random.Next(checkpoint.Spec.VocabularySize))],
        MaxTokens = generate, Sampling = SamplingOptions.Greedy,
    };

    /// <summary>Bytes of the file's matrices that a decoding step reads: all but the embedding, of which it reads a row, unless it is the output too.</summary>
    private static long StepBytes(ModelTensors tensors) =>
        tensors.Layers.SelectMany(layer => (TensorView?[])[layer.Query, layer.Key, layer.Value, layer.AttentionOutput, layer.Gate, layer.Up, layer.Down])
            .Append(tensors.Output).OfType<TensorView>().Distinct().Sum(tensor => tensor.ByteLength);

    private static string Types(Checkpoint checkpoint) => string.Join(" + ", checkpoint.AllTensors.Where(tensor => tensor.Rows > 1)
        .GroupBy(tensor => tensor.Type).OrderByDescending(type => type.Sum(tensor => tensor.ByteLength)).Select(type => type.Key.ToString()));

    private static MemoryFigures Memory(EngineMemoryPlan plan, long? mappedBytes, long peakBytes)
    {
        long Line(string name) => plan.Lines.Where(line => line.Name == name).Sum(line => line.Bytes);
        return new MemoryFigures(peakBytes, mappedBytes ?? Line("weights"), Line("kv/device"), plan.TotalBytes);
    }
}

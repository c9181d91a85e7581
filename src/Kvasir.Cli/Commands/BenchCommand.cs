using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Cli.Benchmarks;
using Kvasir.Cli.Rendering;
using Kvasir.Engine;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir bench</c>: measurements.</summary>
public static class BenchCommand
{
    private const int MostTokens = 1 << 20, MostRepeats = 1000, LargestBatch = 1024;

    /// <summary>Describes the command.</summary>
    public static Command Create() => new("bench", "Measure an engine on this machine, or a server under load.")
    {
        CreateEngine(), BenchServeCommand.Create(), BenchEvictionCommand.Create(), BenchSoakCommand.Create(), BenchGatewayCommand.Create(),
    };

    private static KvasirCommand CreateEngine()
    {
        var model = ModelArgument.Required();
        var prompt = new Option<int>("--prompt") { Description = "Tokens of the prompt whose prefill is timed.", DefaultValueFactory = _ => 512 };
        var generate = new Option<int>("--generate") { Description = "Tokens that each sequence generates.", DefaultValueFactory = _ => 128 };
        var depth = new Option<int>("--depth") { Description = "Tokens that each sequence has before it generates.", DefaultValueFactory = _ => 1 };
        var batch = new Option<string>("--batch") { Description = "Sequences that decode together; several with commas.", DefaultValueFactory = _ => "1,8" };
        var repeats = new Option<int>("--repeats") { Description = "Times that everything is measured; the median counts.", DefaultValueFactory = _ => 3 };
        var threads = new Option<int?>("--threads") { Description = "Threads that compute. Without it, one per core." };
        var kvType = EngineFlags.KvTypeOption();
        var mapped = new Option<bool>("--mmap") { Description = "Use the weights where they lie in the file." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new KvasirCommand("engine",
            "Measure a model: tokens per second of prefill and decoding, against the memory's read bandwidth in the same run, and the memory it took.",
            "kvasir bench engine model.gguf --prompt 512 --generate 128 --batch 1,8 --threads 8",
            "kvasir bench engine model.gguf --batch 1 --depth 4096 --kv-dtype q8_0 --json")
        {
            model, prompt, generate, depth, batch, repeats, threads, kvType, mapped, json,
        };
        command.SetAction((parse, cancel) =>
        {
            var work = new EngineWork(
                Between("--prompt", parse.GetValue(prompt), 1, MostTokens), Between("--generate", parse.GetValue(generate), 1, MostTokens),
                Between("--depth", parse.GetValue(depth), 1, MostTokens), Batches(parse.GetRequiredValue(batch)), Between("--repeats", parse.GetValue(repeats), 1, MostRepeats));
            var options = new EngineOptions { Threads = parse.GetValue(threads), KvFormat = EngineFlags.KvType(parse.GetRequiredValue(kvType)), Mapped = parse.GetValue(mapped) };
            if (options.Problem() is { } problem) throw new UsageException(problem);
            return RunAsync(parse.GetRequiredValue(model), options, work, parse.GetValue(json), cancel);
        });
        return command;
    }

    private static async Task<int> RunAsync(string model, EngineOptions options, EngineWork work, bool json, CancellationToken cancel)
    {
        using var checkpoint = Checkpoint.Open(await LocalModel.ResolveAsync(model, cancel));
        if (work.ContextTokens > checkpoint.Spec.ContextLength)
            throw new CommandException($"The benchmark needs {work.ContextTokens} tokens in one sequence, but the model was trained for {checkpoint.Spec.ContextLength}. Lower --prompt, --depth or --generate.");
        EngineFigures figures;
        using (var line = new ProgressLine()) figures = await new EngineBenchmark(checkpoint, options, work, line.Show).RunAsync(cancel);
        if (json) Console.Out.WriteLine(EngineFiguresView.Json(figures));
        else EngineFiguresView.Write(figures, Terminal.Out);
        return 0;
    }

    private static ImmutableArray<int> Batches(string text)
    {
        var batches = ImmutableArray.CreateBuilder<int>();
        foreach (var part in text.Split(','))
            batches.Add(int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var size) && size is >= 1 and <= LargestBatch
                ? size
                : throw new UsageException($"--batch '{text}' has '{part}', which is not a number between 1 and {LargestBatch}; write 1,8."));
        return batches.ToImmutable();
    }

    private static int Between(string name, int value, int least, int most) => value >= least && value <= most
        ? value
        : throw new UsageException($"{name} {value} is not between {least} and {most}.");
}

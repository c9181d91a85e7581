using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kvasir.Cli.Planning;
using Kvasir.Cli.Rendering;
using Kvasir.Gateway.Policies;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Fit;
using Kvasir.Planning.Hardware;
using Kvasir.Simulation;
using Kvasir.Simulation.Traces;
using Kvasir.Simulation.Workers;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir simulate</c>: a fleet on a laptop.</summary>
public static class SimulateCommand
{
    private const int DefaultRequests = 5000;
    private const double DefaultPrefillRate = 12_000, DefaultDecodeSeconds = 0.02;
    private const long DefaultCapacityTokens = 1_000_000;

    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var trace = new Option<string>("--trace") { Description = $"Trace file (Mooncake .jsonl, Azure .csv) or a made load: {string.Join(", ", SyntheticLoads.Names)}.", Required = true };
        var workers = new Option<int>("--workers") { Description = "Workers.", DefaultValueFactory = _ => 16 };
        var policies = new Option<string>("--policy") { Description = $"Policies with commas, or all: {string.Join(", ", PolicyCatalog.Names)}.", DefaultValueFactory = _ => "all" };
        var gpu = new Option<string?>("--gpu") { Description = "The workers' GPU; without it and --model, 12,000 tokens/s of prefill and 20 ms a decoding step." };
        var model = new Option<string?>("--model") { Description = "The model: a GGUF file, folder, config.json or hf:org/name." };
        var cache = new Option<double>("--cache") { Description = "Times the KV cache that would fit.", DefaultValueFactory = _ => 1 };
        var eviction = new Option<string>("--eviction") { Description = "Which kept keys and values give way first: lru, slru or arc.", DefaultValueFactory = _ => "arc" };
        var arrivals = new Option<double>("--arrivals") { Description = "Times the trace's arrival rate.", DefaultValueFactory = _ => 1 };
        var unequal = new Option<double>("--unequal") { Description = "Every second worker is this many times as fast.", DefaultValueFactory = _ => 1 };
        var error = new Option<double>("--rate-error") { Description = "The gateway's estimates of prefill rates are wrong by this factor.", DefaultValueFactory = _ => 1 };
        var requests = new Option<int>("--requests") { Description = "Requests of a made load, or the first of a trace.", DefaultValueFactory = _ => int.MaxValue };
        var rate = new Option<double>("--rate") { Description = "Arrivals per second of a made load.", DefaultValueFactory = _ => 4 };
        var seed = new Option<int>("--seed") { Description = "Equal seeds give equal results.", DefaultValueFactory = _ => 1 };
        var grid = new Option<bool>("--grid") { Description = "Compare the default with every policy in 216 settings: workers, cache, arrivals, unequal speeds, wrong rates." };
        var plot = new Option<string?>("--plot") { Description = "Folder for pictures, as SVG and PNG: times to first token, hit rates.", HelpName = "DIR" };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new KvasirCommand("simulate", "Send a trace through routing policies to simulated workers and compare times to first token, throughput and hit rates.",
            "kvasir simulate --trace conversation_trace.jsonl --workers 16 --policy kvasir,round-robin,least-requests",
            "kvasir simulate --trace chat --requests 5000 --rate 8 --gpu \"H100 SXM5 80GB\" --model config.json --json")
        {
            trace, workers, policies, gpu, model, cache, eviction, arrivals, unequal, error, requests, rate, seed, grid, plot, json,
        };
        command.SetAction(parse =>
        {
            var loaded = Load(parse.GetRequiredValue(trace), parse.GetValue(requests), Positive("--rate", parse.GetValue(rate)), parse.GetValue(seed));
            var speed = Speed(parse.GetValue(gpu), parse.GetValue(model));
            var gives = EngineFlags.EvictionOf(parse.GetRequiredValue(eviction));
            if (parse.GetValue(grid))
            {
                WriteGrid(SettingsGrid.Run(loaded, speed, gives, parse.GetValue(seed)));
                return;
            }
            speed = speed with { CapacityTokens = (long)(speed.CapacityTokens * Positive("--cache", parse.GetValue(cache))) };
            var fast = speed.Times(Positive("--unequal", parse.GetValue(unequal)));
            var count = parse.GetValue(workers) is >= 1 and <= 4096 and var number ? number : throw new UsageException($"--workers {parse.GetValue(workers)} is not between 1 and 4096.");
            var scenario = new FleetScenario
            {
                Workers = [.. Enumerable.Range(0, count).Select(i => i % 2 == 0 ? speed : fast)],
                ArrivalFactor = Positive("--arrivals", parse.GetValue(arrivals)),
                RateError = Positive("--rate-error", parse.GetValue(error)),
                Eviction = gives,
                Seed = parse.GetValue(seed),
            };
            var (figures, oracle) = FleetSimulator.RunAll(loaded, scenario, [.. Policies(parse.GetRequiredValue(policies))]);
            if (parse.GetValue(plot) is { } folder) PolicyPlots.Write(folder, loaded.Name, [.. figures, oracle]);
            if (parse.GetValue(json)) WriteJson(loaded, scenario, figures, oracle);
            else WriteTable(loaded, [.. figures, oracle]);
        });
        return command;
    }

    private static Trace Load(string name, int requests, double rate, int seed)
    {
        try
        {
            var trace = SyntheticLoads.Make(name, requests == int.MaxValue ? DefaultRequests : requests, rate, seed) ?? TraceReader.Read(name);
            return requests < trace.Requests.Length ? trace with { Requests = [.. trace.Requests.Take(requests)] } : trace;
        }
        catch (TraceException error)
        {
            throw new CommandException(error.Message);
        }
    }

    private static WorkerSpeed Speed(string? gpu, string? model)
    {
        if (gpu is null && model is null) return WorkerSpeed.Flat(DefaultPrefillRate, DefaultDecodeSeconds, DefaultCapacityTokens);
        if (gpu is null || model is null) throw new UsageException("--gpu and --model go together: speed and memory need both.");
        var planned = PlannedModel.Open(model);
        var request = new PlanRequest
        {
            Model = planned.Spec, ModelName = planned.Name, Gpu = GpuCatalogue.Find(gpu), Engine = EngineCatalogue.Find(planned.Gguf ? "llama.cpp" : "vllm")!,
            Options = new ServingOptions { Quantization = planned.Quantization, CheckpointBytes = planned.CheckpointBytes },
        };
        request = request with { Options = request.Options with { Parallelism = SplitSearch.Best(request, 1) ?? request.Options.Parallelism } };
        var plan = MemoryPlanner.Plan(request);
        if (plan.CapacityTokens <= 0) throw new CommandException($"{planned.Spec.Name} leaves no room for a KV cache on one {request.Gpu.Name}; choose a larger GPU or a smaller model.");
        return StepTimes.Of(request) is { } times ? WorkerSpeed.Of(times, plan.CapacityTokens)
            : throw new CommandException($"The speed of {request.Gpu.Name} is not in the catalogue; choose another --gpu.");
    }

    private static IEnumerable<IRoutingPolicy> Policies(string text) => (text == "all" ? PolicyCatalog.Names : text.Split(','))
        .Select(name => PolicyCatalog.Find(name) ?? throw new UsageException($"'{name}' is not a policy; choose among {string.Join(", ", PolicyCatalog.Names)}."));

    private static double Positive(string name, double value) => value > 0 && double.IsFinite(value) ? value : throw new UsageException($"{name} {value} is not a number above 0.");

    private static void WriteTable(Trace trace, ImmutableArray<PolicyFigures> figures)
    {
        using var output = Output.Open();
        output.WriteLine($"{trace.Name}: {trace.Requests.Length:#,0} requests, {trace.PromptTokens:#,0} prompt tokens; an infinite cache would hit {trace.InfiniteCacheHitRate():P1}");
        output.WriteLine();
        output.WriteLine($"{"policy",-20} {"TTFT mean",10} {"p50",8} {"p99",8} {"TPOT",8} {"hit rate",9} {"out tok/s",10} {"busiest",8}");
        var most = figures.Max(figure => figure.TtftMeanSeconds);
        foreach (var figure in figures)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{figure.Policy,-20} {figure.TtftMeanSeconds,8:0.000} s {figure.TtftP50Seconds,6:0.000} s {figure.TtftP99Seconds,6:0.00} s {figure.TpotMeanSeconds * 1000,5:0.0} ms {figure.HitRate,9:P1} {figure.OutputTokensPerSecond,10:#,0} {figure.BusiestShare,8:P1}  {Bar(figure.TtftMeanSeconds, most)}"));
    }

    private static void WriteGrid(IEnumerable<GridPoint> points)
    {
        using var output = Output.Open();
        output.WriteLine($"{"setting",-64} {"kvasir",9} {"best other",28} {"ratio",6} {"p99 / least-requests",21}");
        var (count, within, tails) = (0, 0, 0);
        foreach (var point in points)
        {
            (count, within, tails) = (count + 1, within + (point.MeanRatio <= 1.02 ? 1 : 0), tails + (point.TailRatio <= 1 ? 1 : 0));
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{point.Setting,-64} {point.Default.TtftMeanSeconds,7:0.000} s {point.Best.TtftMeanSeconds,8:0.000} s {point.Best.Policy,-18} {point.MeanRatio,5:0.000} {point.TailRatio,21:0.00}"));
            output.Flush();
        }
        output.WriteLine($"The default's mean TTFT is the lowest or within 2 % of it in {within} of {count} settings; its p99 is no worse than that of least-requests in {tails}.");
    }

    private static string Bar(double value, double most) => new('█', most <= 0 ? 0 : (int)Math.Ceiling(20 * value / most));

    private static void WriteJson(Trace trace, FleetScenario scenario, ImmutableArray<PolicyFigures> figures, PolicyFigures oracle)
    {
        using var stream = Console.OpenStandardOutput();
        using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
        writer.WriteStartObject();
        writer.WriteString("trace", trace.Name);
        writer.WriteNumber("requests", trace.Requests.Length);
        writer.WriteNumber("workers", scenario.Workers.Length);
        writer.WriteNumber("seed", scenario.Seed);
        writer.WriteNumber("infinite_cache_hit_rate", trace.InfiniteCacheHitRate());
        writer.WriteStartArray("policies");
        foreach (var figure in figures) WriteFigures(writer, figure);
        writer.WriteEndArray();
        writer.WritePropertyName("oracle");
        WriteFigures(writer, oracle);
        writer.WriteEndObject();
    }

    private static void WriteFigures(Utf8JsonWriter writer, PolicyFigures figure)
    {
        writer.WriteStartObject();
        writer.WriteString("policy", figure.Policy);
        writer.WriteNumber("ttft_mean_seconds", figure.TtftMeanSeconds);
        writer.WriteNumber("ttft_p50_seconds", figure.TtftP50Seconds);
        writer.WriteNumber("ttft_p99_seconds", figure.TtftP99Seconds);
        writer.WriteNumber("tpot_mean_seconds", figure.TpotMeanSeconds);
        writer.WriteNumber("hit_rate", figure.HitRate);
        writer.WriteNumber("output_tokens_per_second", figure.OutputTokensPerSecond);
        writer.WriteNumber("input_tokens_per_second", figure.InputTokensPerSecond);
        writer.WriteEndObject();
    }
}

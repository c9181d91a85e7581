using System.CommandLine;
using Kvasir.Checkpoints;
using Kvasir.Cli.Planning;
using Kvasir.Cli.Rendering;
using Kvasir.Planning.Calibration;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Fit;
using Kvasir.Planning.Hardware;
using Kvasir.Planning.Hardware.Inspection;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir plan</c>: will it fit, why not, and what to do about it.</summary>
public static class PlanCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "A GGUF file, a Hugging Face folder, a config.json, hf:org/name, or a size (70B) for the rule of thumb alone." };
        var quantization = new Option<string?>("--quantization", "--dtype") { Description = "Plan another storage of the weights: bf16, fp8, awq, gptq, nf4, mxfp4, nvfp4, Q4_K_M …", HelpName = "NAME" };
        var format = new Option<string>("--format") { Description = "table, json, markdown or html.", DefaultValueFactory = _ => "table" };
        format.AcceptOnlyFromAmong("table", "json", "markdown", "html");
        var store = new Option<string?>("--store") { Description = $"File of corrections that kvasir calibrate keeps; {CorrectionStore.Default.Path} by default.", HelpName = "FILE" };
        var flags = new PlanFlags();
        var workload = new WorkloadFlags();
        var command = new KvasirCommand("plan", "Say whether a model fits a GPU, for how many requests, why not, and what would help. Exit code 1 when it does not fit.",
            "kvasir plan config.json --gpu \"H100 SXM5 80GB\" --gpus 4 --context 32k --concurrency 16",
            "kvasir plan model.gguf --gpu \"RTX 4090\" --context 32k",
            "kvasir plan config.json --gpu any --quantization fp8",
            "kvasir plan config.json --gpu \"L40S\" --users 50 --turns 10 --tokens-per-turn 800",
            "kvasir plan 70B")
        {
            model, quantization, format, store,
        };
        flags.AddTo(command);
        workload.AddTo(command);
        command.SetAction(parse =>
        {
            using var output = Output.Open();
            var form = parse.GetRequiredValue(format);
            var name = parse.GetRequiredValue(model);
            if (PlannedModel.Size(name) is { } parameters && !File.Exists(name))
            {
                RuleOfThumbText.Write(output, parameters, form == "json");
                return 0;
            }
            var corrections = (parse.GetValue(store) is { } file ? new CorrectionStore(file) : CorrectionStore.Default).Read();
            return Run(name, parse.GetValue(quantization), form, corrections, flags, workload, parse, output);
        });
        return command;
    }

    private static int Run(
        string name, string? quantization, string format, IReadOnlyCollection<Correction> corrections, PlanFlags flags, WorkloadFlags workload, ParseResult parse, TextWriter output)
    {
        var model = PlannedModel.Open(name);
        if (quantization is not null) model = model.As(quantization);
        var engine = flags.Engine(parse) is not { } chosen ? EngineCatalogue.Find(model.Gguf ? "llama.cpp" : "vllm")!
            : EngineCatalogue.Find(chosen) ?? throw new UsageException($"--engine '{chosen}' is not known; {string.Join(", ", EngineCatalogue.Names)} are.");
        var options = flags.Read(parse) with { Quantization = model.Quantization, CheckpointBytes = model.CheckpointBytes };
        if (flags.Gpu(parse)?.Equals("any", StringComparison.OrdinalIgnoreCase) ?? false)
            return Any(new PlanRequest { Model = model.Spec, ModelName = Quoted(model.Name), Gpu = GpuCatalogue.All.First(), Engine = engine, Options = options, Concurrency = flags.Concurrency(parse) }, format, output);
        var (gpu, used, count) = Where(flags, parse);
        if (gpu.Id == CpuId)
        {
            // Without a GPU, what runs on the CPU: this product's engine, or llama.cpp if asked for.
            if (flags.Engine(parse) is null) engine = new KvasirRules();
            options = options with { Matrices = Matrices(name, model, engine) };
        }
        var request = new PlanRequest
        {
            Model = model.Spec, ModelName = Quoted(model.Name), Gpu = gpu, Gpus = count, UsedBytes = used, Engine = CorrectedRules.Of(engine, corrections, gpu.Id), Options = options, Concurrency = flags.Concurrency(parse),
        };
        var plan = MemoryPlanner.Plan(Split(request, flags.Split(parse)));
        var view = new PlanView(plan, model) { Workload = workload.Play(parse, plan) };
        switch (format)
        {
            case "json": PlanJson.Write(output, view); break;
            case "markdown": PlanText.Write(output, view, markdown: true); break;
            case "html": PlanHtml.Write(output, view); break;
            default: PlanText.Write(output, view, markdown: false); break;
        }
        return plan.Fits ? 0 : 1;
    }

    private const string CpuId = "cpu";

    /// <summary>A name as a shell takes it.</summary>
    private static string Quoted(string name) => name.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '-' or '_' or ':' or '@' or '+' or '=' or ',') ? name : $"'{name.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    /// <summary>The GPU that was named, or this machine's: the kind it has most of, with what others hold of it.</summary>
    private static (Gpu Gpu, long Used, int Count) Where(PlanFlags flags, ParseResult parse)
    {
        var memory = flags.GpuMemory(parse);
        if (flags.Gpu(parse) is { } name)
        {
            var found = GpuCatalogue.Find(name);
            return (memory is { } measured ? found.HoldingExactly(measured) : found, 0, flags.Gpus(parse));
        }
        if (memory is { } bytes) return (Gpu.WithMemory(bytes), 0, flags.Gpus(parse));
        var machine = MachineInspector.Inspect();
        var cards = machine.Accelerators.GroupBy(card => card.Kind.Id).OrderByDescending(group => group.Count()).FirstOrDefault()?.ToList();
        if (cards is null)
        {
            Console.Error.WriteLine($"This machine has no GPU; planning for its CPU with the {new ByteSize(machine.Cpu.Bytes)} that it can spare. Name one with --gpu, or --gpu any.");
            return (machine.Cpu, 0, 1);
        }
        var gpus = flags.Gpus(parse);
        return (cards[0].Kind, cards.Max(card => card.UsedBytes ?? 0), gpus > 1 ? gpus : cards.Count);
    }

    /// <summary>Kvasir's engine packs each matrix, so that it needs to know each; of a checkpoint that it cannot run, none.</summary>
    private static System.Collections.Immutable.ImmutableArray<StoredMatrix>? Matrices(string name, PlannedModel model, EngineRules engine)
    {
        if (engine is not KvasirRules || model.CheckpointBytes is null || !(File.Exists(name) || Directory.Exists(name))) return null;
        using var checkpoint = Checkpoint.Open(name);
        return StoredMatrix.Of(checkpoint.Tensors);
    }

    private static PlanRequest Split(PlanRequest request, Kvasir.Planning.Weights.Parallelism? given)
    {
        var split = given ?? SplitSearch.Best(request, request.Gpus)
            ?? throw new PlanException($"{request.Model.Name} cannot be divided over {request.Gpus} GPUs; give another --gpus, or --tp and --pp.");
        return request with { Options = request.Options with { Parallelism = split }, Gpus = Math.Max(request.Gpus, split.Gpus) };
    }

    private static int Any(PlanRequest request, string format, TextWriter output)
    {
        var found = SplitSearch.Cheapest(request, GpuCatalogue.All).ToList();
        if (format == "json") PlanJson.WriteSetups(output, found);
        else PlanText.WriteSetups(output, found, request);
        return found.Count > 0 ? 0 : 1;
    }
}

using System.CommandLine;
using Kvasir.Checkpoints;
using Kvasir.Cli.Planning;
using Kvasir.Cli.Rendering;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Fit;
using Kvasir.Planning.Hardware;

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
        var flags = new PlanFlags();
        var command = new KvasirCommand("plan", "Say whether a model fits a GPU, for how many requests, why not, and what would help. Exit code 1 when it does not fit.",
            "kvasir plan config.json --gpu \"H100 SXM5 80GB\" --gpus 4 --context 32k --concurrency 16",
            "kvasir plan model.gguf --gpu \"RTX 4090\" --context 32k",
            "kvasir plan config.json --gpu any --quantization fp8",
            "kvasir plan 70B")
        {
            model, quantization, format,
        };
        flags.AddTo(command);
        command.SetAction(parse => Run(parse.GetRequiredValue(model), parse.GetValue(quantization), parse.GetRequiredValue(format), flags, parse));
        return command;
    }

    private static int Run(string name, string? quantization, string format, PlanFlags flags, ParseResult parse)
    {
        using var output = Output.Open();
        if (PlannedModel.Size(name) is { } parameters && !File.Exists(name))
        {
            RuleOfThumbText.Write(output, parameters, format == "json");
            return 0;
        }
        var model = PlannedModel.Open(name);
        if (quantization is not null) model = model.As(quantization);
        var engine = flags.Engine(parse) is not { } chosen ? EngineCatalogue.Find(model.Gguf ? "llama.cpp" : "vllm")!
            : EngineCatalogue.Find(chosen) ?? throw new UsageException($"--engine '{chosen}' is not known; {string.Join(", ", EngineCatalogue.Names)} are.");
        var options = flags.Read(parse) with { Quantization = model.Quantization, CheckpointBytes = model.CheckpointBytes };
        if (flags.Gpu(parse)?.Equals("any", StringComparison.OrdinalIgnoreCase) ?? false)
            return Any(new PlanRequest { Model = model.Spec, ModelName = model.Name, Gpu = GpuCatalogue.All.First(), Engine = engine, Options = options, Concurrency = flags.Concurrency(parse) }, format, output);
        var request = new PlanRequest
        {
            Model = model.Spec, ModelName = model.Name, Gpu = Gpu(flags, parse), Gpus = flags.Gpus(parse), Engine = engine, Options = options, Concurrency = flags.Concurrency(parse),
        };
        var plan = MemoryPlanner.Plan(Split(request, flags.Split(parse)));
        var view = new PlanView(plan, model);
        switch (format)
        {
            case "json": PlanJson.Write(output, view); break;
            case "markdown": PlanText.Write(output, view, markdown: true); break;
            case "html": PlanHtml.Write(output, view); break;
            default: PlanText.Write(output, view, markdown: false); break;
        }
        return plan.Fits ? 0 : 1;
    }

    private static Gpu Gpu(PlanFlags flags, ParseResult parse)
    {
        var memory = flags.GpuMemory(parse);
        if (flags.Gpu(parse) is not { } name)
            return memory is { } bytes ? Kvasir.Planning.Hardware.Gpu.WithMemory(bytes) : throw new UsageException("Say where it shall run: --gpu \"H100 SXM5 80GB\", --gpu any, or --gpu-memory 80GiB.");
        var found = GpuCatalogue.Find(name);
        return memory is { } measured ? found.HoldingExactly(measured) : found;
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

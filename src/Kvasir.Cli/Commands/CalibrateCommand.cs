using System.CommandLine;
using Kvasir.Checkpoints;
using Kvasir.Cli.Planning;
using Kvasir.Cli.Rendering;
using Kvasir.Planning.Calibration;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Hardware;
using Kvasir.Planning.KvCache;
using Kvasir.Planning.Weights;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir calibrate</c>: a real start against the plan, and what later plans learn from it.</summary>
public static class CalibrateCommand
{
    private const long LargestLog = 256L << 20;

    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = new Argument<string?>("MODEL") { Description = "The model that was started; without it, the one that the log names.", Arity = ArgumentArity.ZeroOrOne };
        var log = new Option<string>("--log") { Description = "The engine's start-up log; - reads stdin.", Required = true, HelpName = "FILE" };
        var quantization = new Option<string?>("--quantization", "--dtype") { Description = "How the weights were stored, where the model's files do not say.", HelpName = "NAME" };
        var store = new Option<string?>("--store") { Description = $"File of corrections; {CorrectionStore.Default.Path} by default.", HelpName = "FILE" };
        var dry = new Option<bool>("--dry-run") { Description = "Compare alone; keep nothing." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var flags = new PlanFlags();
        var command = new KvasirCommand("calibrate", "Compare an engine's start-up log with the plan, component by component, and correct later plans of the same engine, version and GPU.",
            "kvasir calibrate config.json --log vllm.log --gpu \"H100 SXM5 80GB\"",
            "kvasir calibrate model.gguf --log llama.log --gpu \"RTX 4090\" --dry-run")
        {
            model, log, quantization, store, dry, json,
        };
        flags.AddTo(command);
        command.SetAction(parse =>
        {
            var path = parse.GetRequiredValue(log);
            var read = EngineLogReader.Read(ReadLog(path), flags.Engine(parse));
            var name = parse.GetValue(model) ?? read.Model ?? throw new UsageException($"{path} does not name its model; give its GGUF file, folder or config.json before --log.");
            var planned = PlannedModel.Open(name);
            if (parse.GetValue(quantization) is { } stored) planned = planned.As(stored);
            var gpu = Gpu(flags.Gpu(parse), flags.GpuMemory(parse) ?? read.DeviceBytes);
            var run = Compare(read, planned, gpu, flags.Read(parse), flags.Split(parse));
            var kept = parse.GetValue(dry) ? null : parse.GetValue(store) is { } file ? new CorrectionStore(file) : CorrectionStore.Default;
            kept?.Add(Correction.From(run.Comparison, run.Engine, run.Version, gpu.Id, Correction.ModelKey(planned.Spec), run.Distributed, Path.GetFileName(path)));
            using var output = Output.Open();
            if (parse.GetValue(json)) output.WriteLine(CalibrationText.Json(run, kept?.Path));
            else CalibrationText.Write(output, run, kept?.Path);
            return 0;
        });
        return command;
    }

    private static string ReadLog(string path)
    {
        if (path == "-") return Console.In.ReadToEnd();
        if (new FileInfo(path) is { Exists: true, Length: > LargestLog } file) throw new CommandException($"{path} has {new ByteSize(file.Length)}; give the part that tells of the start, at most {new ByteSize(LargestLog)}.");
        using var reader = Input.OpenText(new FileInfo(path));
        return reader.ReadToEnd();
    }

    private static Gpu Gpu(string? name, long? bytes)
    {
        if (name is null) throw new UsageException("Say which GPU it ran on: --gpu \"H100 SXM5 80GB\".");
        var gpu = GpuCatalogue.Find(name);
        return bytes is { } measured ? gpu.HoldingExactly(measured) : gpu;
    }

    private static CalibrationRun Compare(EngineLog log, PlannedModel model, Gpu gpu, ServingOptions given, Parallelism? split)
    {
        var engine = EngineCatalogue.Find(log.Engine)!;
        var options = given with
        {
            // Numbers of builds are no versions that constants are kept by.
            Version = given.Version ?? (log.Version?.Contains('.') == true ? log.Version : null),
            Context = given.Context ?? log.Context, MaxSequences = given.MaxSequences ?? log.MaxSequences, MaxBatchedTokens = given.MaxBatchedTokens ?? log.MaxBatchedTokens,
            Utilization = given.Utilization ?? log.Utilization, Eager = given.Eager || log.Eager,
            KvType = given.KvType != KvType.Bf16 || log.KvType is null ? given.KvType : KvType.Parse(log.KvType) ?? given.KvType,
            Parallelism = split ?? new Parallelism(log.Tensor ?? 1, log.Pipeline ?? 1), Quantization = model.Quantization, CheckpointBytes = model.CheckpointBytes,
        };
        if (options.Parallelism.Obstacle(model.Spec, options.Quantization) is { } obstacle) throw new CommandException(obstacle);
        var request = new Kvasir.Planning.Fit.PlanRequest { Model = model.Spec, ModelName = model.Name, Gpu = gpu, Gpus = options.Parallelism.Gpus, Engine = engine, Options = options };
        var estimate = engine.Estimate(model.Spec, request.Device, options);
        return new CalibrationRun(engine.Name, options.Version ?? estimate.Version, gpu.Name, model.Name, options.Parallelism.Gpus > 1, log.Failure, LogComparison.Of(estimate, log));
    }
}

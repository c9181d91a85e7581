using System.Globalization;
using System.Text;
using Kvasir.Checkpoints;
using Kvasir.Planning.Fit;

namespace Kvasir.Cli.Rendering;

/// <summary>A plan for reading: plain text, or the same as Markdown.</summary>
internal static class PlanText
{
    private const int BarWidth = 60;

    public static void Write(TextWriter output, PlanView view, bool markdown)
    {
        var plan = view.Plan;
        var heading = markdown ? "## " : "";
        output.WriteLine($"{heading}{view.Title}");
        output.WriteLine(markdown ? "" : null);
        output.WriteLine(plan.Fits
            ? $"Fits: {Count(plan.Context)} tokens per request, {plan.MaxConcurrency.ToString("0.#", CultureInfo.InvariantCulture)} of them together ({view.SplitText})."
            : $"Does not fit ({view.SplitText}). {plan.Reasons[0]}");
        foreach (var note in plan.Notes) output.WriteLine($"{(markdown ? "\n" : "")}Note: {note}");
        output.WriteLine();
        WriteBar(output, view, markdown);
        WriteParts(output, view, markdown);
        WriteFigures(output, view, markdown);
        WriteFixes(output, plan, markdown);
        if (plan.Fits) WriteLaunch(output, view, markdown);
        WriteThumb(output, view, markdown);
        if (view.Workload is { } played) WorkloadText.Write(output, played.Title, played.Outcome, markdown);
    }

    /// <summary>The set-ups that fit, smallest first.</summary>
    public static void WriteSetups(TextWriter output, IReadOnlyList<PlanRequest> found, PlanRequest request)
    {
        if (found.Count == 0)
        {
            output.WriteLine($"{request.ModelName} fits no known set-up of up to 8 GPUs with these options; try --quantization fp8, --kv-dtype fp8 or a shorter --context.");
            return;
        }
        output.WriteLine($"Set-ups that fit {request.ModelName} under {request.Engine.Name}, least memory first:");
        output.WriteLine();
        output.WriteLine($"{"GPUs",-40} {"memory",12} {"split",-22} {"together",9} {"max context",12} {"tokens/s",9}");
        foreach (var setup in found)
        {
            var plan = MemoryPlanner.Plan(setup);
            var split = setup.Options.Parallelism;
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{setup.Gpus + " × " + setup.Gpu.Name,-40} {new ByteSize(setup.Gpu.Bytes * setup.Gpus),12} {$"tp {split.Tensor} pp {split.Pipeline}{(split.Experts ? " ep" : "")}",-22} {plan.MaxConcurrency,9:0.#} {plan.MaxContext,12:N0} {plan.Throughput?.DecodeTokensPerSecond,9:0.#}"));
        }
    }

    private static void WriteBar(TextWriter output, PlanView view, bool markdown)
    {
        var plan = view.Plan;
        var total = Math.Max(view.Plan.Request.Gpu.Bytes, view.Parts.Sum(part => part.Bytes.Likely));
        var bar = new StringBuilder();
        long before = 0;
        foreach (var part in view.Parts)
        {
            var end = before + part.Bytes.Likely;
            bar.Append(part.Mark, Math.Max(0, (int)(end * BarWidth / total) - (int)(before * BarWidth / total)));
            before = end;
        }
        var line = $"[{bar.ToString().PadRight(BarWidth)}]";
        if (markdown) output.WriteLine("```");
        output.WriteLine($"{line} {new ByteSize(plan.Request.Gpu.Bytes)} per GPU");
        if (before > plan.Request.Gpu.Bytes) output.WriteLine($" {new string(' ', (int)(plan.Request.Gpu.Bytes * BarWidth / total))}^ the GPU ends here; {new ByteSize(before - plan.Request.Gpu.Bytes)} lie beyond");
        if (markdown) output.WriteLine("```");
        output.WriteLine();
    }

    private static void WriteParts(TextWriter output, PlanView view, bool markdown)
    {
        var kv = view.Plan.Fits ? "KV cache (reserved)" : "KV cache (needed)";
        if (markdown) output.WriteLine("| on one GPU | likely | low | high |\n|---|---|---|---|");
        else output.WriteLine($"  {"",-22} {"likely",12} {"low",12} {"high",12}");
        foreach (var part in view.Parts)
        {
            var name = part.Name == "KV cache" ? kv : part.Name;
            output.WriteLine(markdown
                ? $"| {name} | {new ByteSize(part.Bytes.Likely)} | {new ByteSize(part.Bytes.Low)} | {new ByteSize(part.Bytes.High)} |"
                : $"{part.Mark} {name,-22} {new ByteSize(part.Bytes.Likely),12} {new ByteSize(part.Bytes.Low),12} {new ByteSize(part.Bytes.High),12}");
        }
        var free = new ByteSize(view.Plan.Free);
        if (view.Plan.Request.UsedBytes > 0)
        {
            var used = new ByteSize(view.Plan.Request.UsedBytes);
            output.WriteLine(markdown ? $"| other programs | {used} | | |" : $"  {"other programs",-22} {used,12}");
        }
        output.WriteLine(markdown ? $"| free | {free} | | |" : $"  {"free",-22} {free,12}");
        output.WriteLine();
    }

    private static void WriteFigures(TextWriter output, PlanView view, bool markdown)
    {
        var plan = view.Plan;
        var lines = new List<(string, string)>
        {
            ("needed", $"{new ByteSize(plan.Needed)} of the {new ByteSize(plan.Estimate.Budget)} that {plan.Request.Engine.Name} may use; {Request(plan)}"),
            ("KV per token", $"{Count(plan.Estimate.Layout.BytesPerToken)} B on each GPU"),
            ("KV capacity", $"{Count(plan.CapacityTokens)} tokens"),
            ("longest request", $"{Count(plan.MaxContext)} tokens alone"),
        };
        if (plan.Fits) lines.Add(("together", $"{plan.MaxConcurrency.ToString("0.#", CultureInfo.InvariantCulture)} requests of {Count(plan.Context)} tokens"));
        if (plan.Throughput is { } speed)
        {
            lines.Add(("decode, at best", string.Create(CultureInfo.InvariantCulture, $"{speed.DecodeTokensPerSecond:0.#} tokens/s for one request, {speed.BatchTokensPerSecond:0.#} for {plan.Request.Concurrency} together")));
            lines.Add(("prefill, at best", string.Create(CultureInfo.InvariantCulture, $"{speed.PrefillTokensPerSecond:N0} tokens/s, {speed.FirstTokenSeconds:0.##} s for a prompt of {plan.Context:N0} tokens")));
            lines.Add(("assuming", string.Join("; ", speed.Assumptions)));
        }
        foreach (var (name, text) in lines) output.WriteLine(markdown ? $"- **{name}**: {text}" : $"  {name,-18} {text}");
        output.WriteLine();
    }

    private static string Request(MemoryPlan plan) => $"{new ByteSize(plan.KvNeeded)} of it for {plan.Request.Concurrency} × {Count(plan.Context)} tokens";

    private static void WriteFixes(TextWriter output, MemoryPlan plan, bool markdown)
    {
        if (plan.Fits) return;
        output.WriteLine(markdown ? "### What would help, least harm first" : "What would help, least harm first:");
        if (markdown) output.WriteLine();
        if (plan.Fixes.Length == 0) output.WriteLine($"{(markdown ? "" : "  ")}Nothing known makes it fit on GPUs of this kind.");
        foreach (var fix in plan.Fixes)
        {
            var verdict = fix.Fits ? fix.GateMet ? "fits" : "would fit, but this GPU lacks what it needs" : "not enough alone";
            var saves = fix.SavesBytes > 0 ? $", {new ByteSize(fix.SavesBytes)} less per GPU" : "";
            var gate = fix.Gate.Length > 0 ? $"; needs {fix.Gate}" : "";
            output.WriteLine($"{(markdown ? "- " : fix is { Fits: true, GateMet: true } ? "  ✓ " : "    ")}{fix.What}: {verdict}{saves}{gate}");
            if (fix is { Fits: true, GateMet: true, Command.Length: > 0 }) output.WriteLine($"      {(markdown ? "`" : "")}{fix.Command}{(markdown ? "`" : "")}");
        }
        output.WriteLine();
    }

    private static void WriteLaunch(TextWriter output, PlanView view, bool markdown)
    {
        output.WriteLine(markdown ? "### Start it" : "Start it:");
        if (markdown) output.WriteLine("\n```bash");
        foreach (var (engine, command) in view.Launch) output.WriteLine(markdown ? command : $"  {engine,-10} {command}");
        if (markdown) output.WriteLine("```");
        output.WriteLine();
    }

    private static void WriteThumb(TextWriter output, PlanView view, bool markdown)
    {
        var weights = view.Estimate.Weights.Likely * view.Plan.Request.Gpus;
        output.WriteLine(markdown ? "### Rules of thumb, beside the exact numbers" : "Rules of thumb, beside the exact numbers (over all GPUs):");
        if (markdown) output.WriteLine();
        var indent = markdown ? "- " : "  ";
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{indent}parameters × bytes × 1.2: {view.ThumbWeights.Bytes / 1e9:0.0} GB; weights exactly {weights / 1e9:0.0} GB; ratio {view.ThumbWeights.Bytes / (double)weights:0.00}"));
        if (view.ExactKv > 0)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{indent}2 × batch × sequence × layers × hidden × bytes: {view.ThumbKv}; keys and values exactly {new ByteSize(view.ExactKv)}; ratio {view.ThumbKv.Bytes / (double)view.ExactKv:0.0}"));
    }

    private static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}

/// <summary>What a size alone allows to say.</summary>
internal static class RuleOfThumbText
{
    private static readonly (string Name, double Bytes)[] Storages = [("bf16", 2), ("fp8 / int8", 1), ("4 bit", 0.5)];

    public static void Write(TextWriter output, long parameters, bool json)
    {
        if (json)
        {
            PlanJson.WriteThumb(output, parameters, Storages);
            return;
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{parameters / 1e9:0.##} billion parameters, by the rule of thumb parameters × bytes × 1.2. It knows neither KV cache nor engine; give a config.json or checkpoint for a plan."));
        output.WriteLine();
        foreach (var (name, bytes) in Storages)
        {
            var size = Kvasir.Planning.RulesOfThumb.Weights(parameters, bytes);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-12} {size.Bytes / 1e9,9:0.0} GB  ({size})"));
        }
    }
}

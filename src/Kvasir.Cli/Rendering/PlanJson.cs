using System.Text.Json;
using Kvasir.Planning;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Fit;
using Kvasir.Planning.Weights;

namespace Kvasir.Cli.Rendering;

/// <summary>A plan as JSON; its fields are documented in docs/plan-json.md and stay.</summary>
internal static class PlanJson
{
    private static readonly JsonWriterOptions Indented = new() { Indented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(TextWriter output, PlanView view) => Write(output, json =>
    {
        var plan = view.Plan;
        json.WriteStartObject();
        json.WriteBoolean("fits", plan.Fits);
        json.WriteStartArray("reasons");
        foreach (var reason in plan.Reasons) json.WriteStringValue(reason);
        json.WriteEndArray();
        json.WriteStartArray("notes");
        foreach (var note in plan.Notes) json.WriteStringValue(note);
        json.WriteEndArray();
        WriteRequest(json, view);
        WriteGpus(json, view);
        WriteKv(json, plan);
        WriteFixes(json, plan);
        json.WriteStartObject("launch");
        foreach (var (engine, command) in view.Launch) json.WriteString(engine, command);
        json.WriteEndObject();
        WriteRules(json, view);
        WriteThroughput(json, plan.Throughput);
        if (view.Workload is { } played) WorkloadJson.Write(json, played.Title, played.Outcome);
        json.WriteEndObject();
    });

    /// <summary>Set-ups that fit, smallest first.</summary>
    public static void WriteSetups(TextWriter output, IReadOnlyList<PlanRequest> found) => Write(output, json =>
    {
        json.WriteStartObject();
        json.WriteStartArray("setups");
        foreach (var setup in found)
        {
            var plan = MemoryPlanner.Plan(setup);
            json.WriteStartObject();
            json.WriteString("gpu", setup.Gpu.Name);
            json.WriteNumber("gpus", setup.Gpus);
            WriteSplit(json, setup.Options.Parallelism);
            json.WriteNumber("memory_bytes", setup.Gpu.Bytes * setup.Gpus);
            json.WriteNumber("max_concurrency", Math.Round(plan.MaxConcurrency, 2));
            json.WriteNumber("max_context", plan.MaxContext);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    });

    /// <summary>What a size alone allows to say.</summary>
    public static void WriteThumb(TextWriter output, long parameters, IEnumerable<(string Name, double Bytes)> storages) => Write(output, json =>
    {
        json.WriteStartObject();
        json.WriteNumber("parameters", parameters);
        json.WriteStartObject("rule_of_thumb");
        foreach (var (name, bytes) in storages) json.WriteNumber(name, RulesOfThumb.Weights(parameters, bytes).Bytes);
        json.WriteEndObject();
        json.WriteEndObject();
    });

    private static void WriteRequest(Utf8JsonWriter json, PlanView view)
    {
        var request = view.Plan.Request;
        json.WriteStartObject("request");
        json.WriteString("model", view.Model.Name);
        json.WriteString("architecture", view.Model.Spec.Architecture);
        json.WriteNumber("parameters", view.Parameters);
        json.WriteString("quantization", request.Options.Quantization.Name);
        json.WriteString("kv_dtype", request.Options.ValueKvType is { } values ? $"k={request.Options.KvType.Name},v={values.Name}" : request.Options.KvType.Name);
        json.WriteString("gpu", request.Gpu.Name);
        json.WriteNumber("gpu_bytes", request.Gpu.Bytes);
        json.WriteNumber("gpus", request.Gpus);
        json.WriteString("engine", request.Engine.Name);
        json.WriteString("engine_version", view.Estimate.Version);
        WriteSplit(json, request.Options.Parallelism);
        json.WriteNumber("context", view.Plan.Context);
        json.WriteNumber("concurrency", request.Concurrency);
        json.WriteNumber("max_sequences", view.Estimate.MaxSequences);
        json.WriteNumber("max_batched_tokens", view.Estimate.MaxBatchedTokens);
        json.WriteEndObject();
    }

    private static void WriteSplit(Utf8JsonWriter json, Parallelism split)
    {
        json.WriteNumber("tensor_parallel", split.Tensor);
        json.WriteNumber("pipeline_parallel", split.Pipeline);
        json.WriteBoolean("expert_parallel", split.Experts);
    }

    private static void WriteGpus(Utf8JsonWriter json, PlanView view)
    {
        json.WriteStartArray("per_gpu");
        for (var index = 0; index < view.Plan.Request.Gpus; index++)
        {
            json.WriteStartObject();
            string[] names = ["weights_bytes", "kv_bytes", "activation_bytes", "graph_bytes", "overhead_bytes"];
            for (var part = 0; part < names.Length; part++) json.WriteNumber(names[part], view.Parts[part].Bytes.Likely);
            json.WriteNumber("needed_bytes", view.Plan.Needed);
            json.WriteNumber("budget_bytes", view.Estimate.Budget);
            json.WriteNumber("free_bytes", view.Plan.Free);
            json.WriteNumber("used_bytes", view.Plan.Request.UsedBytes);
            WriteBounds(json, "low", names, view, band => band.Low);
            WriteBounds(json, "high", names, view, band => band.High);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteBounds(Utf8JsonWriter json, string name, string[] names, PlanView view, Func<Band, long> bound)
    {
        json.WriteStartObject(name);
        for (var part = 0; part < names.Length; part++) json.WriteNumber(names[part], bound(view.Parts[part].Bytes));
        json.WriteEndObject();
    }

    private static void WriteKv(Utf8JsonWriter json, MemoryPlan plan)
    {
        json.WriteStartObject("kv");
        json.WriteNumber("bytes_per_token", plan.Estimate.Layout.BytesPerToken);
        json.WriteNumber("capacity_tokens", plan.CapacityTokens);
        json.WriteNumber("max_concurrency", double.IsFinite(plan.MaxConcurrency) ? Math.Round(plan.MaxConcurrency, 2) : 0);
        json.WriteNumber("max_context", plan.MaxContext);
        json.WriteNumber("needed_bytes", plan.KvNeeded);
        json.WriteNumber("reserved_bytes", plan.Pool);
        json.WriteEndObject();
    }

    private static void WriteFixes(Utf8JsonWriter json, MemoryPlan plan)
    {
        json.WriteStartArray("fixes");
        foreach (var fix in plan.Fixes)
        {
            json.WriteStartObject();
            json.WriteString("what", fix.What);
            json.WriteNumber("saves_bytes", fix.SavesBytes);
            json.WriteString("gate", fix.Gate);
            json.WriteBoolean("gate_met", fix.GateMet);
            json.WriteBoolean("fits", fix.Fits);
            if (fix.Command.Length > 0) json.WriteString("command", fix.Command);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteRules(Utf8JsonWriter json, PlanView view)
    {
        var weights = view.Estimate.Weights.Likely * view.Plan.Request.Gpus;
        json.WriteStartObject("rule_of_thumb");
        json.WriteNumber("weights_bytes", view.ThumbWeights.Bytes);
        json.WriteNumber("weights_ratio", Math.Round(view.ThumbWeights.Bytes / (double)Math.Max(1, weights), 3));
        json.WriteNumber("kv_bytes", view.ThumbKv.Bytes);
        if (view.ExactKv > 0) json.WriteNumber("kv_ratio", Math.Round(view.ThumbKv.Bytes / (double)view.ExactKv, 3));
        json.WriteEndObject();
    }

    private static void WriteThroughput(Utf8JsonWriter json, Roofline? speed)
    {
        if (speed is null)
        {
            json.WriteNull("throughput");
            return;
        }
        json.WriteStartObject("throughput");
        json.WriteNumber("decode_tokens_per_second", Math.Round(speed.DecodeTokensPerSecond, 2));
        json.WriteNumber("batch_tokens_per_second", Math.Round(speed.BatchTokensPerSecond, 2));
        json.WriteNumber("prefill_tokens_per_second", Math.Round(speed.PrefillTokensPerSecond, 1));
        json.WriteNumber("first_token_seconds", Math.Round(speed.FirstTokenSeconds, 4));
        json.WriteStartArray("assumptions");
        foreach (var assumption in speed.Assumptions) json.WriteStringValue(assumption);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Write(TextWriter output, Action<Utf8JsonWriter> write)
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory, Indented)) write(json);
        output.WriteLine(System.Text.Encoding.UTF8.GetString(memory.GetBuffer(), 0, (int)memory.Length));
    }
}

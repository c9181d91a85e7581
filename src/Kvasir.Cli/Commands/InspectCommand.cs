using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Kvasir.Checkpoints;
using Kvasir.Cli.Rendering;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir inspect</c>: what is in a model's files.</summary>
public static class InspectCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = ModelArgument.Required();
        var tensors = new Option<bool>("--tensors") { Description = "List every tensor." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new KvasirCommand("inspect", "Show what is in a model's files: its shape, tensors by type, bytes.",
            "kvasir inspect model.gguf",
            "kvasir inspect models/qwen3-0.6b --tensors",
            "kvasir inspect model.gguf --json | jq .spec.layers")
        {
            model, tensors, json,
        };
        command.SetAction((parse, cancel) => RunAsync(parse.GetRequiredValue(model), parse.GetValue(tensors), parse.GetValue(json), cancel));
        return command;
    }

    private static async Task<int> RunAsync(string model, bool listTensors, bool json, CancellationToken cancel)
    {
        using var checkpoint = Checkpoint.Open(await LocalModel.ResolveAsync(model, cancel));
        if (json) WriteJson(checkpoint, listTensors);
        else WriteTables(checkpoint, listTensors);
        return 0;
    }

    private static void WriteJson(Checkpoint checkpoint, bool listTensors)
    {
        var options = new JsonSerializerOptions
        {
            WriteIndented = true,
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            Converters = { new JsonStringEnumConverter(), new ByRuntimeType<MixerSpec>(), new ByRuntimeType<FeedForwardSpec>(), new Numbers() },
        };
        var root = new JsonObject
        {
            ["path"] = checkpoint.Path,
            ["format"] = checkpoint.Format,
            ["digest"] = checkpoint.Digest,
            ["file_bytes"] = checkpoint.FileBytes,
            ["has_chat_template"] = checkpoint.ChatTemplateSource is not null,
            ["spec"] = JsonSerializer.SerializeToNode(checkpoint.Spec, options),
            ["defaults"] = JsonSerializer.SerializeToNode(checkpoint.Defaults, options),
            ["tensors_by_type"] = new JsonArray([.. ByType(checkpoint).Select(group => (JsonNode)new JsonObject
            {
                ["type"] = group.Type.ToString(), ["tensors"] = group.Count, ["weights"] = group.Weights, ["bytes"] = group.Bytes,
            })]),
        };
        if (listTensors)
            root["tensors"] = new JsonArray([.. checkpoint.AllTensors.Select(tensor => (JsonNode)new JsonObject
            {
                ["name"] = tensor.Name, ["type"] = tensor.Type.ToString(), ["shape"] = new JsonArray([.. tensor.Shape.Select(size => (JsonNode)size)]), ["bytes"] = tensor.ByteLength,
            })]);
        using var output = Output.Open();
        output.WriteLine(root.ToJsonString(options));
    }

    private static void WriteTables(Checkpoint checkpoint, bool listTensors)
    {
        var spec = checkpoint.Spec;
        var facts = Terminal.Table("", "");
        foreach (var (name, value) in Facts(checkpoint, spec)) facts.Row(name, value);
        Terminal.Out.Write(facts);
        var types = Terminal.Table("type", "tensors", "weights", "bytes");
        foreach (var group in ByType(checkpoint)) types.Row(group.Type.ToString(), $"{group.Count:#,0}", $"{group.Weights:#,0}", new ByteSize(group.Bytes).ToString());
        Terminal.Out.Write(types);
        if (!listTensors) return;
        var all = Terminal.Table("tensor", "shape", "type", "bytes");
        foreach (var tensor in checkpoint.AllTensors)
            all.Row(tensor.Name, string.Join(" × ", tensor.Shape), tensor.Type.ToString(), new ByteSize(tensor.ByteLength).ToString());
        Terminal.Out.Write(all);
    }

    private static IEnumerable<(string, string)> Facts(Checkpoint checkpoint, ModelSpec spec)
    {
        yield return ("model", spec.Name);
        yield return ("architecture", spec.Architecture);
        yield return ("format", checkpoint.Format);
        yield return ("files", new ByteSize(checkpoint.FileBytes).ToString());
        yield return ("parameters", $"{spec.ParameterCount:#,0}");
        yield return ("vocabulary", $"{spec.VocabularySize:#,0}");
        yield return ("hidden size", $"{spec.HiddenSize:#,0}");
        yield return ("context", $"{spec.ContextLength:#,0} tokens");
        yield return ("tied embeddings", spec.TiedEmbeddings ? "yes" : "no");
        foreach (var (layer, count) in Layers(spec)) yield return ($"{count} layers", layer);
        yield return ("KV cache, f16", $"{new ByteSize(KvBytesPerToken(spec))} per token");
        yield return ("chat template", checkpoint.ChatTemplateSource is { } source ? $"{source.Length:#,0} characters" : "none");
        yield return ("digest", checkpoint.Digest);
    }

    private static IEnumerable<(string Layer, int Count)> Layers(ModelSpec spec) =>
        spec.Layers.Select(layer => $"{Mixer(layer.Mixer)}; {FeedForward(layer.FeedForward)}").GroupBy(text => text).Select(group => (group.Key, group.Count()));

    private static string Mixer(MixerSpec mixer) => mixer is AttentionSpec attention
        ? $"{attention.Heads} heads, {attention.KeyValueHeads} of keys and values, size {attention.HeadSize}" + (attention.SlidingWindow is { } window ? $", window {window:#,0}" : "")
        : mixer.GetType().Name.Replace("Spec", "", StringComparison.Ordinal);

    private static string FeedForward(FeedForwardSpec? feedForward) => feedForward switch
    {
        DenseFeedForwardSpec dense => $"feed-forward {dense.IntermediateSize:#,0} {dense.Activation}{(dense.Gated ? ", gated" : "")}",
        ExpertFeedForwardSpec experts => $"{experts.Experts} experts, {experts.ExpertsPerToken} per token, of {experts.ExpertIntermediateSize:#,0}",
        _ => "no feed-forward",
    };

    private static long KvBytesPerToken(ModelSpec spec) =>
        spec.Layers.Select(layer => layer.Mixer).OfType<AttentionSpec>().Where(attention => attention.SharesKeyValuesOfLayer is null)
            .Sum(attention => 2L * attention.KeyValueHeads * (attention.HeadSize + attention.ValueHeadSize));

    private static IEnumerable<(TensorType Type, int Count, long Weights, long Bytes)> ByType(Checkpoint checkpoint) =>
        from tensor in checkpoint.AllTensors
        group tensor by tensor.Type into types
        let bytes = types.Sum(tensor => tensor.ByteLength)
        orderby bytes descending
        select (types.Key, types.Count(), types.Sum(tensor => tensor.Rows * tensor.Columns), bytes);

    /// <summary>Writes an array that was never set as an empty one.</summary>
    private sealed class Numbers : JsonConverter<ImmutableArray<float>>
    {
        public override ImmutableArray<float> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException("Specs are written, not read.");

        public override void Write(Utf8JsonWriter writer, ImmutableArray<float> value, JsonSerializerOptions options)
        {
            writer.WriteStartArray();
            if (!value.IsDefault) foreach (var number in value) writer.WriteNumberValue(number);
            writer.WriteEndArray();
        }
    }

    /// <summary>Writes a value with the members of its own type rather than those of its base.</summary>
    private sealed class ByRuntimeType<T> : JsonConverter<T> where T : class
    {
        public override bool CanConvert(Type typeToConvert) => typeToConvert == typeof(T);

        public override T? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException("Specs are written, not read.");

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options)
        {
            var node = JsonSerializer.SerializeToNode(value, value.GetType(), options)!.AsObject();
            node.Insert(0, "kind", value.GetType().Name.Replace("Spec", "", StringComparison.Ordinal));
            node.WriteTo(writer, options);
        }
    }
}

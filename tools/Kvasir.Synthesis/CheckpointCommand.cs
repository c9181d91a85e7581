using System.CommandLine;
using System.Diagnostics;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>checkpoint: writes one random checkpoint.</summary>
internal static class CheckpointCommand
{
    public static Command Create()
    {
        var command = new Command("checkpoint", "Writes a random checkpoint of any size, family and tensor type.");
        Option<T> Add<T>(string name, string description, T value)
        {
            var option = new Option<T>(name) { Description = description, DefaultValueFactory = _ => value };
            command.Options.Add(option);
            return option;
        }

        var family = Add("--family", "llama, mistral, qwen2, qwen3, phi3, gemma, gemma2, gemma3, smollm3", SyntheticFamily.Llama);
        var layers = Add("--layers", "decoder layers", 2);
        var hidden = Add("--hidden", "width of the residual stream", 256);
        var heads = Add("--heads", "query heads", 8);
        var kvHeads = Add("--kv-heads", "key/value heads", 4);
        var headSize = Add("--head-size", "size of a head; 0: hidden / heads", 0);
        var feedForward = Add("--feed-forward", "inner width of the feed-forward networks", 512);
        var vocabulary = Add("--vocabulary", "tokens, at least 320", 384);
        var context = Add("--context", "trained positions", 4096);
        var theta = Add("--theta", "base of the rotary embedding", 10000.0);
        var scaling = Add("--scaling", "rotary scaling: none, linear, llama3, yarn, longrope", SyntheticScaling.None);
        var window = Add("--window", "sliding window in tokens, where the family has one; 0: none", 0);
        var tied = Add("--tied", "the output projection is the embedding table", false);
        var type = Add("--type", "f32, f16, bf16, q4_0 … q8_0, q2_k … q6_k, iq4_nl, iq4_xs, mxfp4; q4_k_m and q5_k_m mix in q6_k as llama.cpp does", "f16");
        var words = Add("--words", "tokens are words, and those are what the model writes; for loads that read answers back", false);
        var seed = Add("--seed", "seed of the weights", 1UL);
        var format = Add("--format", "gguf or hf", "gguf");
        var output = new Option<string>("--output") { Description = "file, or directory for hf", Required = true };
        command.Options.Add(output);

        command.SetAction(result =>
        {
            var (tensorType, mixture) = ParseType(result.GetValue(type)!);
            var model = new SyntheticModel
            {
                Family = result.GetValue(family), Type = tensorType, Mixture = mixture, Layers = result.GetValue(layers), Hidden = result.GetValue(hidden),
                Heads = result.GetValue(heads), KeyValueHeads = result.GetValue(kvHeads), HeadSize = result.GetValue(headSize),
                FeedForward = result.GetValue(feedForward), Vocabulary = result.GetValue(vocabulary), Context = result.GetValue(context),
                Theta = result.GetValue(theta), Scaling = result.GetValue(scaling), Window = result.GetValue(window), Tied = result.GetValue(tied), Words = result.GetValue(words),
                Seed = result.GetValue(seed),
            };
            var path = result.GetValue(output)!;
            var started = Stopwatch.StartNew();
            if (result.GetValue(format) == "hf") SyntheticCheckpoint.WriteHuggingFace(path, model);
            else SyntheticCheckpoint.WriteGguf(path, model);
            using var written = Checkpoint.Open(path);
            Console.WriteLine($"{path}: {written.Spec.Architecture}, {written.Spec.ParameterCount / 1e6:0.0} M parameters, {new ByteSize(written.FileBytes)}, {started.Elapsed.TotalSeconds:0.0} s");
        });
        return command;
    }

    private static (TensorType, SyntheticMixture) ParseType(string text)
    {
        var mixture = text.EndsWith("_k_m", StringComparison.OrdinalIgnoreCase) ? SyntheticMixture.Medium : SyntheticMixture.Uniform;
        var name = mixture == SyntheticMixture.Medium ? text[..^2] : text;
        return Enum.TryParse<TensorType>(name, ignoreCase: true, out var type) && type.IsKnown() ? (type, mixture)
            : throw new CheckpointException($"The type \"{text}\" is not known; {string.Join(", ", Enum.GetNames<TensorType>())}, q4_k_m and q5_k_m are.");
    }
}

using System.Text.Json;
using System.Text.Json.Serialization;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>A random model, a prompt, and the logits that another program computed for it.</summary>
/// <param name="Model">The model, which the same values write again.</param>
/// <param name="Context">Positions that the context was made for; decides between longrope's factors.</param>
/// <param name="Tokens">The prompt.</param>
/// <param name="Positions">Positions whose logits follow.</param>
/// <param name="Logits">One list of [vocabulary] per position; empty before they are computed.</param>
/// <param name="Continuation">The tokens that follow the prompt when the likeliest is taken each time; null where none were generated.</param>
public sealed record Fixture(SyntheticModel Model, int Context, int[] Tokens, int[] Positions, float[][] Logits, int[]? Continuation = null)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        Converters = { new JsonStringEnumConverter() }, IgnoreReadOnlyProperties = true, RespectRequiredConstructorParameters = true,
    };

    /// <summary>Tokens that long fixtures generate.</summary>
    public const int ContinuationLength = 24;

    private const int PromptLength = 40, LongPromptLength = 300;

    /// <summary>Reads a fixture's file.</summary>
    public static Fixture Read(string path) => JsonSerializer.Deserialize<Fixture>(File.ReadAllText(path), Json)
        ?? throw new InvalidDataException($"{path} is empty.");

    /// <summary>Writes a fixture's file.</summary>
    public void Write(string path) => File.WriteAllText(path, JsonSerializer.Serialize(this, Json) + "\n");

    /// <summary>Every fixture by name, without logits.</summary>
    public static IReadOnlyDictionary<string, Fixture> All()
    {
        var fixtures = new Dictionary<string, Fixture>();
        void Add(string name, SyntheticModel model, int context = 512, params int[] positions) =>
            fixtures.Add(name, new Fixture(model, context, Prompt(), positions.Length > 0 ? positions : [7, PromptLength - 1], []));

        foreach (var family in Enum.GetValues<SyntheticFamily>()) Add(family.ToString().ToLowerInvariant(), SyntheticModel.Tiny(family));
        var llama = SyntheticModel.Tiny(SyntheticFamily.Llama);
        var phi = SyntheticModel.Tiny(SyntheticFamily.Phi3) with { Scaling = SyntheticScaling.LongRope };
        Add("llama-tied", llama with { Tied = true });
        Add("llama-linear", llama with { Scaling = SyntheticScaling.Linear });
        Add("llama-llama3", llama with { Scaling = SyntheticScaling.Llama3, Theta = 500000 });
        Add("llama-yarn", llama with { Scaling = SyntheticScaling.Yarn });
        Add("qwen2-yarn", SyntheticModel.Tiny(SyntheticFamily.Qwen2) with { Scaling = SyntheticScaling.Yarn, Theta = 1e6, Tied = true });
        Add("phi3-longrope", phi);
        Add("phi3-longrope-long", phi, 2048);
        Add("phi3-partial-rotary", phi with { RotaryShare = 0.75 });
        Add("gemma3-linear", SyntheticModel.Tiny(SyntheticFamily.Gemma3) with { Scaling = SyntheticScaling.Linear });
        foreach (var type in Enum.GetValues<TensorType>())
            if (type != TensorType.F32)
                Add($"llama-{type.ToString().ToLowerInvariant()}", llama with { Type = type }, 512, PromptLength - 1);
        foreach (var (name, model, context) in Longer(llama, phi))
            fixtures.Add("long-" + name, new Fixture(model, context, Prompt(LongPromptLength), [LongPromptLength - 1], [], []));
        return fixtures;
    }

    /// <summary>Many windows, many blocks of the KV cache, and a continuation.</summary>
    private static IEnumerable<(string Name, SyntheticModel Model, int Context)> Longer(SyntheticModel llama, SyntheticModel phi)
    {
        foreach (var family in Enum.GetValues<SyntheticFamily>()) yield return (family.ToString().ToLowerInvariant(), SyntheticModel.Tiny(family), 512);
        yield return ("llama-linear", llama with { Scaling = SyntheticScaling.Linear }, 512);
        yield return ("llama-llama3", llama with { Scaling = SyntheticScaling.Llama3, Theta = 500000 }, 512);
        yield return ("llama-yarn", llama with { Scaling = SyntheticScaling.Yarn }, 512);
        yield return ("phi3-longrope", phi, 512);
        yield return ("phi3-longrope-long", phi, 2048);
        yield return ("gemma3-linear", SyntheticModel.Tiny(SyntheticFamily.Gemma3) with { Scaling = SyntheticScaling.Linear }, 512);
    }

    private static int[] Prompt(int length = PromptLength) => [SyntheticTokenizer.BeginId, .. Enumerable.Range(1, length - 1).Select(i => (int)(RandomBits.Mix((ulong)i) % 256))];
}

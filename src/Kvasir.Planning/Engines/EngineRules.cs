using System.Globalization;
using System.Text.RegularExpressions;
using Kvasir.Checkpoints;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Engines;

/// <summary>What an engine does with memory: one class each, constants by version in a table beside it.</summary>
public abstract partial class EngineRules
{
    /// <summary>The name on the command line: "vllm", "llama.cpp".</summary>
    public abstract string Name { get; }

    /// <summary>The rules without corrections from logs.</summary>
    public virtual EngineRules Plain => this;

    /// <summary>Names of the types in which the engine can keep keys and values.</summary>
    public virtual IReadOnlyList<string> KvTypes => ["bf16", "fp8"];

    /// <summary>Whether values can be planned in another type than keys.</summary>
    public virtual bool KeepsValuesApart => false;

    /// <summary>What the engine cannot do of the options, and what to give instead; null where it can.</summary>
    public virtual string? Obstacle(ServingOptions options) =>
        !KeepsValuesApart && options.ValueKvType is { } apart && apart != options.KvType ? $"{Name} is planned with keys and values of one type; give one in --kv-dtype."
        : new[] { options.KvType, options.ValueKvType ?? options.KvType }.FirstOrDefault(type => !KvTypes.Contains(type.Name)) is not { } unknown ? null
        : $"{Name} keeps no KV cache in {unknown.Name}; give --kv-dtype {string.Join(", ", KvTypes)}.";

    /// <summary>Where the memory of each GPU would go.</summary>
    public abstract MemoryEstimate Estimate(ModelSpec model, Device device, ServingOptions options);

    /// <summary>The command that starts the engine with these options and exact sizes.</summary>
    /// <param name="model">Name or path of the model as the engine takes it.</param>
    /// <param name="estimate">What <see cref="Estimate"/> gave for the same options.</param>
    /// <param name="options">The options.</param>
    public abstract string LaunchCommand(string model, MemoryEstimate estimate, ServingOptions options);

    /// <summary>Weights on the fullest GPU, before what the engine adds at load.</summary>
    protected static long WeightBytes(ModelSpec model, ServingOptions options)
    {
        var plain = options.TextOnly && model.EncoderParameters > 0 ? model with { EncoderParameters = 0 } : model;
        var weights = ShardedWeights.Of(plain, options.Quantization, options.Parallelism, options.Speculative);
        // Headers are exact where shapes leave open what a quantizer kept at 16 bit; how the bytes divide is the shapes' to say.
        return options.CheckpointBytes is { } exact ? (long)((double)weights.Largest / weights.Total * exact) : weights.Largest;
    }

    /// <summary>Reads "0.11.0", "~0.10.1", "0.2x" as 11, 10, 20; null where there is no such number.</summary>
    internal static int? Minor(string? version)
    {
        if (version is null || VersionPattern().Match(version) is not { Success: true } match) return null;
        var number = int.Parse(match.Groups["minor"].ValueSpan, CultureInfo.InvariantCulture);
        return match.Groups["any"].Success ? 10 * number : number;
    }

    [GeneratedRegex(@"(?<![\d.])0\.(?<minor>\d{1,3})(?<any>x)?")]
    private static partial Regex VersionPattern();
}

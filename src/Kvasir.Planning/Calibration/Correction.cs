using System.Globalization;
using Kvasir.Planning.Engines;

namespace Kvasir.Planning.Calibration;

/// <summary>
/// What one log taught about an engine of a version on a GPU. Weights and activations are corrected by a factor, since
/// they grow with the model; graphs and overhead by bytes, since they belong to the engine and the driver.
/// </summary>
public sealed record Correction
{
    /// <summary>The engine's name in the catalogue of engines.</summary>
    public required string Engine { get; init; }
    /// <summary>"0.11": the part of the version by which constants differ; "" where the log did not say.</summary>
    public required string Version { get; init; }
    /// <summary>The GPU's id in the catalogue.</summary>
    public required string Gpu { get; init; }
    /// <summary>The model that was started; only its weights are corrected.</summary>
    public required string Model { get; init; }
    /// <summary>More than one rank had part; collectives cost only then.</summary>
    public bool Distributed { get; init; }
    /// <summary>Logged weights by planned ones.</summary>
    public double? WeightsFactor { get; init; }
    /// <summary>Logged activations by planned ones.</summary>
    public double? ActivationsFactor { get; init; }
    /// <summary>Logged graphs less planned ones, bytes.</summary>
    public long? GraphsDifference { get; init; }
    /// <summary>Logged overhead less planned one, bytes.</summary>
    public long? OverheadDifference { get; init; }
    /// <summary>The log, for naming it.</summary>
    public required string Source { get; init; }

    /// <summary>What a comparison teaches.</summary>
    /// <exception cref="CalibrationException">The log tells of no component.</exception>
    public static Correction From(LogComparison comparison, string engine, string? version, string gpu, string model, bool distributed, string source)
    {
        var correction = new Correction
        {
            Engine = engine, Version = ShortVersion(version), Gpu = gpu, Model = model, Distributed = distributed, Source = source,
            WeightsFactor = Factor("weights"), ActivationsFactor = Factor("activations"),
            GraphsDifference = Part("graphs")?.Difference, OverheadDifference = Part("overhead")?.Difference,
        };
        return correction is { WeightsFactor: null, ActivationsFactor: null, GraphsDifference: null, OverheadDifference: null }
            ? throw new CalibrationException($"{source} tells neither weights, activations, graphs nor overhead, so there is nothing to correct. Give the log of a whole start.")
            : correction;

        ComparedComponent? Part(string name) => comparison.Components.FirstOrDefault(part => part.Name == name);
        double? Factor(string name) => Part(name) is { Planned: > 0, Logged: > 0 } part ? (double)part.Logged / part.Planned : null;
    }

    /// <summary>What stands for a model here: its name and shape, since a configuration may name its family alone.</summary>
    public static string ModelKey(Kvasir.Checkpoints.ModelSpec model) => string.Create(CultureInfo.InvariantCulture, $"{model.Name} ({model.Layers.Length} layers of {model.HiddenSize})");

    /// <summary>"0.11" of "0.11.0", "v0.11.0rc2" and "~0.11".</summary>
    public static string ShortVersion(string? version)
    {
        var parts = (version ?? "").TrimStart('v', '~').Split('.', 3);
        return parts.Length >= 2 && int.TryParse(parts[0], CultureInfo.InvariantCulture, out _)
            ? $"{parts[0]}.{new string([.. parts[1].TakeWhile(char.IsAsciiDigit)])}"
            : parts[0];
    }
}

/// <summary>Several logs' lessons about the same engine, version and GPU: their medians.</summary>
/// <param name="Weights">Factor of weights, of this model alone; null where no log told.</param>
/// <param name="Activations">Factor of activations.</param>
/// <param name="Graphs">Bytes to add to graphs.</param>
/// <param name="Overhead">Bytes to add to overhead.</param>
/// <param name="Sources">The logs.</param>
public sealed record CorrectionSum(double? Weights, double? Activations, long? Graphs, long? Overhead, IReadOnlyList<string> Sources)
{
    /// <summary>The corrections of a plan: those whose engine, version, GPU and number of ranks are the plan's.</summary>
    /// <returns>The medians, or null where no log matches.</returns>
    public static CorrectionSum? Of(IEnumerable<Correction> corrections, string engine, string? version, string gpu, string model, bool distributed)
    {
        var matching = corrections.Where(one => one.Engine == engine && one.Version == Correction.ShortVersion(version) && one.Gpu == gpu && one.Distributed == distributed).ToList();
        return matching.Count == 0 ? null : new CorrectionSum(
            Median(matching.Where(one => one.Model == model).Select(one => one.WeightsFactor)),
            Median(matching.Select(one => one.ActivationsFactor)),
            (long?)Median(matching.Select(one => (double?)one.GraphsDifference)),
            (long?)Median(matching.Select(one => (double?)one.OverheadDifference)),
            [.. matching.Select(one => one.Source).Distinct()]);
    }

    /// <summary>The estimate as the logs teach it. Bounds narrow to a quarter of what they were: the start was seen, though of another run.</summary>
    public MemoryEstimate ApplyTo(MemoryEstimate estimate) => estimate with
    {
        Weights = Scaled(estimate.Weights, Weights),
        Activations = Scaled(estimate.Activations, Activations),
        Graphs = Moved(estimate.Graphs, Graphs),
        Overhead = Moved(estimate.Overhead, Overhead),
        Version = $"{estimate.Version}, corrected by {Names}",
    };

    private string Names => Sources.Count == 1 ? Sources[0] : $"{Sources.Count} logs";

    private static Band Scaled(Band band, double? factor) => factor is { } by ? Around(band, (long)(band.Likely * by)) : band;

    private static Band Moved(Band band, long? bytes) => bytes is { } more ? Around(band, Math.Max(0, band.Likely + more)) : band;

    private static Band Around(Band band, long likely) => new(Math.Max(0, likely - ((band.Likely - band.Low) / 4)), likely, likely + ((band.High - band.Likely) / 4));

    private static double? Median(IEnumerable<double?> values)
    {
        var sorted = values.OfType<double>().Order().ToArray();
        return sorted.Length == 0 ? null : (sorted[sorted.Length / 2] + sorted[(sorted.Length - 1) / 2]) / 2;
    }
}

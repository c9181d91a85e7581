using System.Globalization;
using System.Text.Json;
using Kvasir.Checkpoints;
using Kvasir.Planning.Calibration;

namespace Kvasir.Cli.Rendering;

/// <summary>What a calibration compared.</summary>
/// <param name="Engine">The engine.</param>
/// <param name="Version">Its version, or that whose constants were used.</param>
/// <param name="Gpu">The GPU.</param>
/// <param name="Model">The model.</param>
/// <param name="Distributed">Whether several ranks had part.</param>
/// <param name="Failure">The line that says that memory did not suffice, or null.</param>
/// <param name="Comparison">Component by component.</param>
public sealed record CalibrationRun(string Engine, string Version, string Gpu, string Model, bool Distributed, string? Failure, LogComparison Comparison);

/// <summary>A calibration as a page of text or as JSON.</summary>
public static class CalibrationText
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the page.</summary>
    public static void Write(TextWriter output, CalibrationRun run, string? store)
    {
        output.WriteLine($"{run.Model} on {run.Gpu} with {run.Engine} {run.Version}");
        output.WriteLine();
        output.WriteLine($"{"",-12} {"logged",14} {"planned",14} {"between",30} {"error",8}");
        foreach (var part in run.Comparison.Components)
        {
            var error = part.Logged == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{part.Error * 100:+0.0;-0.0;0.0} %");
            output.WriteLine($"{part.Name,-12} {Size(part, part.Logged),14} {Size(part, part.Planned),14} {$"{Size(part, part.Low)} to {Size(part, part.High)}",30} {error,8}{(part.WithinBounds ? "" : "  outside")}");
        }
        output.WriteLine();
        if (run.Failure is { } failure) output.WriteLine($"The start failed: {failure}");
        output.WriteLine(run.Comparison.MostOff is { } off
            ? $"Most off: {off.Name}, {new ByteSize(Math.Abs(off.Difference))} {(off.Difference > 0 ? "more" : "less")} than planned."
            : "Every component lies within the plan's bounds.");
        if (store is not null) output.WriteLine($"Kept in {store}: later plans of {run.Engine} {Correction.ShortVersion(run.Version)} on this GPU are corrected by it and name it.");
    }

    /// <summary>The JSON.</summary>
    public static string Json(CalibrationRun run, string? store) => JsonSerializer.Serialize(new
    {
        engine = run.Engine, version = run.Version, gpu = run.Gpu, model = run.Model, failure = run.Failure,
        components = run.Comparison.Components.Select(part => new { name = part.Name, logged = part.Logged, planned = part.Planned, low = part.Low, high = part.High, error = part.Error, within_bounds = part.WithinBounds }),
        most_off = run.Comparison.MostOff?.Name,
        store,
    }, Indented);

    private static string Size(ComparedComponent part, long value) => part.Name == "KV tokens" ? value.ToString("N0", CultureInfo.InvariantCulture) : new ByteSize(value).ToString();
}

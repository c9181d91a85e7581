using System.Globalization;
using System.Net;
using Kvasir.Checkpoints;
using Kvasir.Planning.Workloads;

namespace Kvasir.Cli.Rendering;

/// <summary>Memory over time as a picture within the plan's page.</summary>
internal static class WorkloadHtml
{
    private const int Width = 900, Height = 240;

    public static void Write(TextWriter output, string title, WorkloadOutcome outcome)
    {
        output.WriteLine($"<h2>Memory over time: {WebUtility.HtmlEncode(title)}</h2>");
        output.WriteLine($"<svg viewBox=\"0 0 {Width} {Height + 20}\" role=\"img\" aria-label=\"Memory over time\" width=\"100%\">\n<rect width=\"{Width}\" height=\"{Height}\" fill=\"#eef0f3\"/>");
        Area(output, outcome, sample => sample.UsedBytes + sample.KeptBytes, "#b9d8c4", "running requests and kept prefixes");
        Area(output, outcome, sample => sample.UsedBytes, "#4fa36b", "running requests");
        output.WriteLine($"<text x=\"4\" y=\"16\" font-size=\"14\" fill=\"#1c2128\">{new ByteSize(outcome.PoolBytes)}</text></svg>\n<ul>");
        foreach (var (name, text) in WorkloadText.Figures(outcome)) output.WriteLine($"<li>{WebUtility.HtmlEncode($"{name}: {text}")}</li>");
        output.WriteLine("</ul>");
    }

    private static void Area(TextWriter output, WorkloadOutcome outcome, Func<WorkloadSample, long> bytes, string color, string name)
    {
        var end = Math.Max(1e-9, outcome.Samples.Select(sample => sample.Seconds).DefaultIfEmpty(0).Max());
        var points = outcome.Samples.Select(sample => string.Create(CultureInfo.InvariantCulture,
            $"{sample.Seconds / end * Width:0.#},{Height - Math.Min(1, bytes(sample) / (double)Math.Max(1, outcome.PoolBytes)) * Height:0.#}"));
        output.WriteLine($"<polygon points=\"0,{Height} {string.Join(' ', points)} {Width},{Height}\" fill=\"{color}\"><title>{name}</title></polygon>");
    }
}

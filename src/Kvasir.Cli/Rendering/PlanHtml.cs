using System.Globalization;
using System.Net;
using Kvasir.Checkpoints;

namespace Kvasir.Cli.Rendering;

/// <summary>A plan as one HTML page with the stacked bar as a picture; nothing is loaded from elsewhere.</summary>
internal static class PlanHtml
{
    private const int Width = 900, Height = 64;
    private const string FreeColor = "#eef0f3";

    private const string Style = """
        body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2128; background: #fff }
        table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .9rem .25rem 0; text-align: right } td:first-child, th:first-child { text-align: left }
        .swatch { display: inline-block; width: .8em; height: .8em; margin-right: .5em } .no { color: #b3261e } .yes { color: #1f7a3d } code { background: #f2f4f7; padding: .1em .3em; overflow-wrap: anywhere }
        @media (prefers-color-scheme: dark) { body { color: #dfe3e8; background: #15181c } code { background: #262b32 } }
        """;

    public static void Write(TextWriter output, PlanView view)
    {
        var plan = view.Plan;
        output.WriteLine($"<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{Text(view.Title)}</title>\n<style>\n{Style}\n</style>");
        output.WriteLine($"<h1>{Text(view.Title)}</h1>");
        output.WriteLine(plan.Fits
            ? $"<p class=\"yes\">Fits: {Count(plan.Context)} tokens per request, {plan.MaxConcurrency.ToString("0.#", CultureInfo.InvariantCulture)} of them together ({Text(view.SplitText)}).</p>"
            : $"<p class=\"no\">Does not fit ({Text(view.SplitText)}). {Text(plan.Reasons[0])}</p>");
        foreach (var note in plan.Notes) output.WriteLine($"<p>Note: {Text(note)}</p>");
        WriteBar(output, view);
        WriteTable(output, view);
        output.WriteLine($"<p>Needed: {new ByteSize(plan.Needed)} of the {new ByteSize(view.Estimate.Budget)} that {Text(plan.Request.Engine.Name)} may use. KV capacity {Count(plan.CapacityTokens)} tokens; longest request {Count(plan.MaxContext)} tokens.</p>");
        if (plan.Throughput is { } speed)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"<p>At best {speed.DecodeTokensPerSecond:0.#} tokens/s for one request, {speed.BatchTokensPerSecond:0.#} for {plan.Request.Concurrency} together, prefill {speed.PrefillTokensPerSecond:N0} tokens/s (assuming {Text(string.Join("; ", speed.Assumptions))}).</p>"));
        if (!plan.Fits)
        {
            output.WriteLine("<h2>What would help, least harm first</h2>\n<ul>");
            foreach (var fix in plan.Fixes)
                output.WriteLine($"<li class=\"{(fix is { Fits: true, GateMet: true } ? "yes" : "")}\">{Text(fix.What)}: {(fix.Fits ? "fits" : "not enough alone")}{(fix.SavesBytes > 0 ? $", {new ByteSize(fix.SavesBytes)} less per GPU" : "")}{(fix.Gate.Length > 0 ? $"; needs {Text(fix.Gate)}" : "")}</li>");
            output.WriteLine("</ul>");
        }
        else
        {
            output.WriteLine("<h2>Start it</h2>\n<ul>");
            foreach (var (engine, command) in view.Launch) output.WriteLine($"<li>{Text(engine)}: <code>{Text(command)}</code></li>");
            output.WriteLine("</ul>");
        }
        if (view.Workload is { } played) WorkloadHtml.Write(output, played.Title, played.Outcome);
        output.WriteLine("</html>");
    }

    private static void WriteBar(TextWriter output, PlanView view)
    {
        long gpu = view.Plan.Request.Gpu.Bytes, total = Math.Max(gpu, view.Parts.Sum(part => part.Bytes.Likely));
        output.WriteLine($"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"Memory of one GPU\" width=\"100%\">\n<rect width=\"{Width}\" height=\"40\" fill=\"{FreeColor}\"/>");
        double x = 0;
        foreach (var part in view.Parts)
        {
            var width = part.Bytes.Likely * (double)Width / total;
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"<rect x=\"{x:0.##}\" width=\"{width:0.##}\" height=\"40\" fill=\"{part.Color}\"><title>{part.Name}: {new ByteSize(part.Bytes.Likely)}</title></rect>"));
            x += width;
        }
        var end = gpu * (double)Width / total;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"<line x1=\"{end:0.##}\" x2=\"{end:0.##}\" y1=\"0\" y2=\"46\" stroke=\"#b3261e\" stroke-width=\"3\"/><text x=\"{end:0.##}\" y=\"61\" text-anchor=\"end\" font-size=\"14\" fill=\"currentColor\">{new ByteSize(gpu)}</text>\n</svg>"));
    }

    private static void WriteTable(TextWriter output, PlanView view)
    {
        output.WriteLine("<table><tr><th>on one GPU</th><th>likely</th><th>low</th><th>high</th></tr>");
        foreach (var part in view.Parts)
            output.WriteLine($"<tr><td><span class=\"swatch\" style=\"background:{part.Color}\"></span>{part.Name}</td><td>{new ByteSize(part.Bytes.Likely)}</td><td>{new ByteSize(part.Bytes.Low)}</td><td>{new ByteSize(part.Bytes.High)}</td></tr>");
        output.WriteLine($"<tr><td><span class=\"swatch\" style=\"background:{FreeColor}\"></span>free</td><td>{new ByteSize(view.Plan.Free)}</td><td></td><td></td></tr></table>");
    }

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}

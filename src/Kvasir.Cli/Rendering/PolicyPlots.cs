using Kvasir.Simulation;
using ScottPlot;

namespace Kvasir.Cli.Rendering;

/// <summary>Simulated policies as pictures, each as SVG and as PNG.</summary>
internal static class PolicyPlots
{
    private const int Width = 900, Height = 480;

    /// <summary>Writes the pictures into a folder, which is made where it is missing.</summary>
    public static void Write(string folder, string trace, IReadOnlyList<PolicyFigures> figures)
    {
        Directory.CreateDirectory(folder);
        Save(folder, "ttft-mean", figures, $"{trace}: mean time to first token", "seconds", figure => figure.TtftMeanSeconds);
        Save(folder, "ttft-p99", figures, $"{trace}: 99th percentile of time to first token", "seconds", figure => figure.TtftP99Seconds);
        Save(folder, "tpot", figures, $"{trace}: mean time per output token", "milliseconds", figure => figure.TpotMeanSeconds * 1000);
        Save(folder, "throughput", figures, $"{trace}: output throughput", "tokens per second", figure => figure.OutputTokensPerSecond);
        Save(folder, "hit-rate", figures, $"{trace}: prompt tokens found in a cache", "percent", figure => figure.HitRate * 100);
    }

    private static void Save(string folder, string name, IReadOnlyList<PolicyFigures> figures, string title, string unit, Func<PolicyFigures, double> value)
    {
        using var plot = new Plot();
        plot.Title(title);
        plot.YLabel(unit);
        for (var i = 0; i < figures.Count; i++) plot.Add.Bar(i, value(figures[i]));
        plot.Axes.Bottom.SetTicks([.. Enumerable.Range(0, figures.Count).Select(i => (double)i)], [.. figures.Select(figure => figure.Policy)]);
        plot.Axes.Bottom.TickLabelStyle.Rotation = 20;
        plot.Axes.Bottom.TickLabelStyle.Alignment = Alignment.UpperLeft;
        plot.Axes.Bottom.MinimumSize = 70;
        plot.Axes.Margins(bottom: 0);
        var path = Path.Combine(folder, name);
        plot.SaveSvg(path + ".svg", Width, Height);
        plot.SavePng(path + ".png", Width, Height);
    }
}

using System.Globalization;
using Kvasir.Gateway.Policies;
using Kvasir.Simulation;
using ScottPlot;

namespace Kvasir.Cli.Rendering;

/// <summary>Simulated policies as pictures, each as SVG and as PNG.</summary>
internal static class PolicyPlots
{
    private const int Width = 900, Height = 400;
    private static readonly Color Default = Color.FromHex("#1F77B4"), Other = Color.FromHex("#B8C4CE");

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

    /// <summary>A bar for each policy, from top to bottom; the default stands out.</summary>
    private static void Save(string folder, string name, IReadOnlyList<PolicyFigures> figures, string title, string unit, Func<PolicyFigures, double> value)
    {
        using var plot = new Plot();
        plot.Title(title);
        plot.XLabel(unit);
        plot.HideGrid();
        plot.Add.Bars(figures.Select((figure, place) => new Bar
        {
            Position = -place, Value = value(figure), Orientation = Orientation.Horizontal, Size = 0.7, LineWidth = 0,
            FillColor = figure.Policy == PolicyCatalog.Default ? Default : Other,
        }).ToList());
        foreach (var (figure, place) in figures.Select((figure, place) => (figure, place)))
        {
            var label = plot.Add.Text(" " + value(figure).ToString(value(figure) < 10 ? "0.00" : "#,0.0", CultureInfo.InvariantCulture), value(figure), -place);
            label.Alignment = Alignment.MiddleLeft;
        }
        plot.Axes.Left.SetTicks([.. figures.Select((_, place) => (double)-place)], [.. figures.Select(figure => figure.Policy)]);
        plot.Axes.Margins(left: 0, right: 0.12);
        var path = Path.Combine(folder, name);
        plot.SaveSvg(path + ".svg", Width, Height);
        plot.SavePng(path + ".png", Width, Height);
    }
}

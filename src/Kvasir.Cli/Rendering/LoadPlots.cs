using System.Globalization;
using Kvasir.Cli.Load;
using ScottPlot;

namespace Kvasir.Cli.Rendering;

/// <summary>Results of loads as pictures, each as SVG and as PNG.</summary>
internal static class LoadPlots
{
    private const int Width = 900, Height = 480;

    /// <summary>Writes the pictures into a folder, which is made where it is missing.</summary>
    /// <returns>The files.</returns>
    public static IReadOnlyList<string> Write(string folder, IReadOnlyList<LoadResult> results)
    {
        Directory.CreateDirectory(folder);
        var files = new List<string>();
        Save("ttft", Bars(results, "Time to first token, p50 (line to p99)", "seconds", result => result.FirstToken?.P50, result => result.FirstToken?.P99));
        Save("tpot", Bars(results, "Time per output token, p50 (line to p99)", "milliseconds", result => result.PerToken?.P50 * 1000, result => result.PerToken?.P99 * 1000));
        Save("wall", Bars(results, "Wall time", "seconds", result => result.WallSeconds));
        Save("throughput", Bars(results, "Output throughput", "tokens per second", result => result.OutputRate));
        if (results.Any(result => result.CachedShare is not null))
            Save("reused", Bars(results, "Prompt tokens found in the cache (line to an infinite cache)", "percent", result => result.CachedShare * 100, Ideal));
        foreach (var load in results.GroupBy(result => result.Load))
        {
            if (load.Any(result => result.Memory.Any(sample => sample.ResidentBytes is not null)))
                Save($"memory-{load.Key}", Lines(load, "Resident memory", "MiB", sample => sample.ResidentBytes / 1048576.0));
            if (load.Any(result => result.Memory.Any(sample => sample.KvShare is not null)))
                Save($"kv-{load.Key}", Lines(load, "KV cache in use", "percent", sample => sample.KvShare * 100));
        }
        return files;

        static double? Ideal(LoadResult result) => result.PromptTokens > 0 ? 100.0 * result.IdealCachedTokens / result.PromptTokens : null;

        void Save(string name, Plot plot)
        {
            using (plot)
            {
                var path = Path.Combine(folder, name);
                plot.SaveSvg(path + ".svg", Width, Height);
                plot.SavePng(path + ".png", Width, Height);
                files.AddRange([path + ".svg", path + ".png"]);
            }
        }
    }

    private static Plot Bars(IReadOnlyList<LoadResult> results, string title, string unit, Func<LoadResult, double?> value, Func<LoadResult, double?>? upper = null)
    {
        var plot = Titled(title, unit);
        var loads = results.Select(result => result.Load).Distinct().ToList();
        var servers = results.Select(result => result.Server).Distinct().ToList();
        var width = 0.8 / servers.Count;
        foreach (var (server, number) in servers.Select((server, number) => (server, number)))
        {
            var color = plot.Add.Palette.GetColor(number);
            var bars = new List<Bar>();
            foreach (var result in results.Where(result => result.Server == server))
            {
                if (value(result) is not { } height) continue;
                var x = loads.IndexOf(result.Load) - 0.4 + width * (number + 0.5);
                bars.Add(new Bar { Position = x, Value = height, Size = width * 0.9, FillColor = color, LineWidth = 0 });
                var top = Math.Max(height, upper?.Invoke(result) ?? 0);
                if (top > height) plot.Add.Line(x, height, x, top).Color = Colors.Gray;
                var label = plot.Add.Text(height.ToString(height < 10 ? "0.00" : "0.0", CultureInfo.InvariantCulture), x, top);
                label.Alignment = Alignment.LowerCenter;
            }
            if (bars.Count == 0) continue;
            var drawn = plot.Add.Bars(bars);
            drawn.LegendText = server;
        }
        plot.Axes.Bottom.SetTicks([.. loads.Select((_, index) => (double)index)], [.. loads]);
        plot.Axes.Margins(bottom: 0, top: 0.15);
        plot.ShowLegend(Alignment.UpperRight);
        return plot;
    }

    private static Plot Lines(IEnumerable<LoadResult> results, string title, string unit, Func<MemorySample, double?> value)
    {
        var list = results.ToList();
        var plot = Titled($"{title}, {list[0].Load}", unit);
        plot.XLabel("seconds");
        foreach (var result in list)
        {
            var points = result.Memory.Select(sample => (sample.Seconds, Value: value(sample))).Where(point => point.Value is not null).ToList();
            if (points.Count == 0) continue;
            var line = plot.Add.Scatter(points.Select(point => point.Seconds).ToArray(), points.Select(point => point.Value!.Value).ToArray());
            line.LegendText = result.Server;
            line.MarkerSize = 0;
            line.LineWidth = 2;
        }
        plot.Axes.AutoScale();
        plot.Axes.SetLimitsY(0, plot.Axes.GetLimits().Top);
        plot.ShowLegend(Alignment.LowerRight);
        return plot;
    }

    private static Plot Titled(string title, string unit)
    {
        var plot = new Plot();
        plot.Title(title);
        plot.YLabel(unit);
        plot.HideGrid();
        return plot;
    }
}

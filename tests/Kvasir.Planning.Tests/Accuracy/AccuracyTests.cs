using System.Globalization;
using Kvasir.Planning.Tests.Reference;

namespace Kvasir.Planning.Tests.Accuracy;

public sealed class AccuracyTests(ITestOutputHelper output)
{
    [Fact]
    public void Figures_are_printed()
    {
        ReferenceData.Require();
        var logs = EngineLog.All();
        foreach (var kind in (Func<EngineLog, Comparison?>[])[Comparison.BytesPerToken, Comparison.Weights, Comparison.Capacity])
        {
            var all = logs.Select(kind).OfType<Comparison>().ToList();
            var sorted = all.Select(c => Math.Abs(c.Error)).Order().ToList();
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"== {all[0].Kind}: {all.Count}, median {sorted[sorted.Count / 2]:P2}, p90 {sorted[(int)(sorted.Count * 0.9)]:P2}"));
            foreach (var c in all.OrderByDescending(c => Math.Abs(c.Error)))
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{c.Error,9:P1} {c.Logged,14:G6} {c.Planned,14:G6} {c.Log.Quality} {c.Log.Engine} {c.Log.Options.Version} {c.Log.Title} | {c.Log.Device?.Name} q={c.Log.Quantization?.Name}"));
        }
        foreach (var (log, started, fits) in logs.Select(Comparison.Outcome).OfType<(EngineLog, bool, bool)>())
            if (started != fits) output.WriteLine($"OUTCOME started={started} fits={fits} {log.Title} {log.Quality} needed {log.Planned!.Needed / 1073741824.0:F2} budget {log.Planned.Budget / 1073741824.0:F2}");
        output.WriteLine("no model: " + string.Join(", ", logs.Where(l => l.Model is null).Select(l => l.Title)));
    }
}

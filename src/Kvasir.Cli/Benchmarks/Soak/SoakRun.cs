using Kvasir.Cli.Benchmarks.Fleet;

namespace Kvasir.Cli.Benchmarks.Soak;

/// <summary>How a soak went.</summary>
/// <param name="Seconds">How long clients were at work.</param>
/// <param name="Counts">What they met.</param>
/// <param name="Failures">Answers that should not have been.</param>
/// <param name="SettledBytes">Resident memory when caches had filled: the mean between a fifth and three tenths of the time.</param>
/// <param name="EndBytes">Resident memory at the end: the mean of the last tenth.</param>
/// <param name="PeakBytes">Most resident memory.</param>
/// <param name="LedgerBefore">The ledger's lines before the load.</param>
/// <param name="LedgerAfter">The ledger's lines after it.</param>
/// <param name="IsIdle">Whether nothing was left running or held.</param>
/// <param name="SameText">Whether the same requests got the same texts before and after.</param>
/// <param name="Samples">Resident memory over time.</param>
internal sealed record SoakOutcome(
    double Seconds, SoakCounts Counts, IReadOnlyList<string> Failures, double SettledBytes, double EndBytes, long PeakBytes,
    IReadOnlyList<string> LedgerBefore, IReadOnlyList<string> LedgerAfter, bool IsIdle, bool SameText, IReadOnlyList<(double Seconds, long Bytes)> Samples)
{
    /// <summary>Growth of resident memory from settled to end, as a fraction.</summary>
    public double Growth => (EndBytes / SettledBytes) - 1;

    /// <summary>Whether the ledger ended where it began.</summary>
    public bool LedgerReturned => LedgerBefore.SequenceEqual(LedgerAfter);
}

/// <summary>Starts a server of its own, lets clients at it for a time, and looks at what is left.</summary>
internal static class SoakRun
{
    /// <summary>Resident memory that may be more at the end than when caches had filled.</summary>
    public const double MostGrowth = 0.02;

    private const int Probes = 4;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500), LastAnswers = TimeSpan.FromSeconds(60);
    private static readonly string[] BusyMetrics = ["kvasir_num_requests_running", "kvasir_num_requests_waiting", "kvasir_kv_cache_blocks_used"];

    /// <summary>Runs it.</summary>
    /// <param name="serve">Arguments of the server.</param>
    /// <param name="contextTokens">Most tokens of one sequence.</param>
    /// <param name="clients">Clients at a time.</param>
    /// <param name="duration">How long.</param>
    /// <param name="time">The clock.</param>
    /// <param name="progress">Told what happens.</param>
    /// <param name="cancel">Ends it without an outcome.</param>
    public static async Task<SoakOutcome> RunAsync(IEnumerable<string> serve, int contextTokens, int clients, TimeSpan duration, TimeProvider time, Action<string> progress, CancellationToken cancel)
    {
        progress("Starting the server");
        await using var server = await ChildServer.StartAsync(["serve", .. serve, "--port", "0"], cancel);
        using var http = new HttpClient { BaseAddress = server.Address, Timeout = TimeSpan.FromMinutes(5) };
        var load = new SoakClients(http, contextTokens);
        var before = await TextsAsync(load, cancel);
        var ledger = await LedgerAsync(http, cancel);
        var samples = new List<(double Seconds, long Bytes)>();
        using (var end = CancellationTokenSource.CreateLinkedTokenSource(cancel))
        {
            var started = time.GetTimestamp();
            var running = Enumerable.Range(0, clients).Select(client => Task.Run(() => load.RunAsync(client, end.Token), cancel)).ToArray();
            for (var seconds = 0.0; seconds < duration.TotalSeconds; seconds = time.GetElapsedTime(started).TotalSeconds)
            {
                samples.Add((seconds, server.ResidentBytes));
                progress($"{seconds:0} of {duration.TotalSeconds:0} s: {load.Counts.Answered} answers, {server.ResidentBytes >> 20} MiB resident");
                await Task.Delay(Interval, time, cancel);
            }
            await end.CancelAsync();
            await Task.WhenAll(running);
        }
        var isIdle = await IsIdleAsync(http, time, cancel);
        var after = await TextsAsync(load, cancel);
        return new SoakOutcome(
            duration.TotalSeconds, load.Counts, load.Failures, Mean(samples, duration, 0.2, 0.3), Mean(samples, duration, 0.9, 1), samples.Max(sample => sample.Bytes),
            ledger, await LedgerAsync(http, cancel), isIdle, before.SequenceEqual(after), samples);
    }

    private static async Task<string?[]> TextsAsync(SoakClients load, CancellationToken cancel)
    {
        var texts = new string?[Probes];
        for (var i = 0; i < Probes; i++) texts[i] = await load.ProbeAsync(i, cancel);
        return texts;
    }

    private static async Task<string[]> LedgerAsync(HttpClient http, CancellationToken cancel) =>
        [.. (await http.GetStringAsync("metrics", cancel)).Split('\n').Where(line => line.StartsWith("kvasir_ledger_bytes", StringComparison.Ordinal))];

    private static async Task<bool> IsIdleAsync(HttpClient http, TimeProvider time, CancellationToken cancel)
    {
        for (var started = time.GetTimestamp(); time.GetElapsedTime(started) < LastAnswers; await Task.Delay(Interval, time, cancel))
        {
            var metrics = await http.GetStringAsync("metrics", cancel);
            if (Array.TrueForAll(BusyMetrics, name => Load.MemoryWatch.Value(metrics, [name]) is 0)) return true;
        }
        return false;
    }

    private static double Mean(List<(double Seconds, long Bytes)> samples, TimeSpan duration, double from, double to)
    {
        var within = samples.Where(sample => sample.Seconds >= from * duration.TotalSeconds && sample.Seconds <= to * duration.TotalSeconds).ToList();
        return within.Count > 0 ? within.Average(sample => sample.Bytes) : samples[^1].Bytes;
    }
}

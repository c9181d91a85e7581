using System.Diagnostics;
using System.Globalization;

namespace Kvasir.Cli.Load;

/// <summary>A server's memory at one moment.</summary>
/// <param name="Seconds">From the load's start.</param>
/// <param name="ResidentBytes">Resident bytes of its process; null where unknown.</param>
/// <param name="KvShare">Share of its KV cache in use, 0 to 1; null where unknown.</param>
internal readonly record struct MemorySample(double Seconds, long? ResidentBytes, double? KvShare);

/// <summary>Looks at a server's memory while a load runs: at its process on this machine, or at its <c>/metrics</c>.</summary>
internal sealed class MemoryWatch : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500), LastLook = TimeSpan.FromSeconds(5);
    private static readonly string[] ResidentNames = ["kvasir_process_resident_bytes", "process_resident_memory_bytes"];
    private static readonly string[] KvNames = ["kvasir_kv_cache_usage_perc", "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "llamacpp:kv_cache_usage_ratio"];

    private readonly ServerUnderTest server;
    private readonly TimeProvider time;
    private readonly long start;
    private readonly List<MemorySample> samples = [];
    private readonly CancellationTokenSource stop = new();
    private readonly Task watching;
    private bool hasMetrics = true;

    /// <summary>Begins to look.</summary>
    public MemoryWatch(ServerUnderTest server, TimeProvider time)
    {
        (this.server, this.time, start) = (server, time, time.GetTimestamp());
        watching = WatchAsync();
    }

    /// <summary>Looks once more, so that a short load has a figure too, and stops.</summary>
    /// <returns>What was seen.</returns>
    public async Task<IReadOnlyList<MemorySample>> StopAsync()
    {
        if (stop.IsCancellationRequested) return samples;
        await stop.CancelAsync();
        await watching;
        using var last = new CancellationTokenSource(LastLook, time);
        await TryAsync(() => SampleAsync(last.Token));
        return samples;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        stop.Dispose();
    }

    private Task WatchAsync() => TryAsync(async () =>
    {
        while (true)
        {
            await SampleAsync(stop.Token);
            await Task.Delay(Interval, time, stop.Token);
        }
    });

    private static async Task TryAsync(Func<Task> look)
    {
        try
        {
            await look();
        }
        catch (OperationCanceledException)
        {
            // The load is over, or the server is slow to say.
        }
    }

    private async Task SampleAsync(CancellationToken cancel)
    {
        var now = time.GetElapsedTime(start).TotalSeconds;
        var metrics = hasMetrics ? await ScrapeAsync(cancel) : null;
        var resident = server.Address.ProcessId is { } id ? Resident(id) : (long?)Value(metrics, ResidentNames);
        var sample = new MemorySample(now, resident, Value(metrics, KvNames));
        if (sample is not { ResidentBytes: null, KvShare: null }) samples.Add(sample);
    }

    private async Task<string?> ScrapeAsync(CancellationToken cancel)
    {
        try
        {
            using var response = await server.Http.GetAsync("metrics", cancel);
            if (response.IsSuccessStatusCode) return await response.Content.ReadAsStringAsync(cancel);
        }
        catch (HttpRequestException)
        {
            // As good as none.
        }
        hasMetrics = false;
        return null;
    }

    /// <summary>The sum of a metric's lines, of the first name that is there.</summary>
    internal static double? Value(string? metrics, IEnumerable<string> names)
    {
        if (metrics is null) return null;
        foreach (var name in names)
        {
            double? sum = null;
            foreach (var line in metrics.Split('\n'))
            {
                if (!line.StartsWith(name, StringComparison.Ordinal) || line.Length == name.Length || line[name.Length] is not (' ' or '{')) continue;
                var value = line[(line.LastIndexOf('}') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                var number = line.Contains('}', StringComparison.Ordinal) ? 0 : 1;
                if (value.Length > number && double.TryParse(value[number], NumberStyles.Float, CultureInfo.InvariantCulture, out var read)) sum = (sum ?? 0) + read;
            }
            if (sum is not null) return sum;
        }
        return null;
    }

    private static long? Resident(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            return process.WorkingSet64;
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            return null;
        }
    }
}

using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Checkpoints.Remote;

namespace Kvasir.Cli.Rendering;

/// <summary>How far a download is: file, bytes, rate and time left on one line of stderr; nothing where stderr is not a terminal.</summary>
internal sealed class DownloadLine(TimeProvider time) : IProgress<HubProgress>, IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(0.2);

    private readonly ProgressLine _line = new();
    private string? _file;
    private long _start, _startBytes, _shown;

    /// <inheritdoc/>
    public void Report(HubProgress value)
    {
        var now = time.GetTimestamp();
        if (value.File != _file) (_file, _start, _startBytes, _shown) = (value.File, now, value.Bytes, 0);
        if (value.Waiting is { } reason)
        {
            _line.Show(reason);
            return;
        }
        if (_shown != 0 && time.GetElapsedTime(_shown, now) < Pause && value.Bytes != value.TotalBytes) return;
        _shown = now;
        _line.Show(Text(value, time.GetElapsedTime(_start, now)));
    }

    private string Text(HubProgress value, TimeSpan elapsed)
    {
        var text = $"downloading {value.File}: {new ByteSize(value.Bytes)}";
        if (value.TotalBytes is { } total) text += $" of {new ByteSize(total)}";
        if (elapsed.TotalSeconds < 1 || value.Bytes <= _startBytes) return text;
        var rate = (value.Bytes - _startBytes) / elapsed.TotalSeconds;
        text += $", {new ByteSize((long)rate)}/s";
        return value.TotalBytes is { } all ? text + $", {TimeSpan.FromSeconds(Math.Ceiling((all - value.Bytes) / rate)).ToString("c", CultureInfo.InvariantCulture)} left" : text;
    }

    /// <summary>Wipes the line.</summary>
    public void Dispose() => _line.Dispose();
}

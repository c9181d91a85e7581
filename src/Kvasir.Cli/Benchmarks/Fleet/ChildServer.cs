using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Kvasir.Cli.Benchmarks.Fleet;

/// <summary>A kvasir command that listens, as a process of its own: what is measured shares no runtime with what measures.</summary>
internal sealed partial class ChildServer : IAsyncDisposable
{
    private static readonly TimeSpan StartTime = TimeSpan.FromMinutes(3), StopTime = TimeSpan.FromSeconds(5);
    private readonly Process _process;

    private ChildServer(Process process, Uri address) => (_process, Address) = (process, address);

    /// <summary>Where it listens.</summary>
    public Uri Address { get; }

    /// <summary>Bytes of its memory that are resident now.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>Time that the process spent on processors.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Starts <c>kvasir</c> with the arguments and waits until it says where it listens.</summary>
    public static async Task<ChildServer> StartAsync(IEnumerable<string> arguments, CancellationToken cancel)
    {
        var list = arguments.ToList();
        var program = Environment.ProcessPath ?? throw new CommandException("The program's own path is unknown, so that it cannot start workers.");
        // Under the runtime's host (dotnet kvasir.dll) the host is the program and the assembly its first argument.
        var isHosted = Path.GetFileNameWithoutExtension(program).Equals("dotnet", StringComparison.OrdinalIgnoreCase);
        var start = new ProcessStartInfo(program, isHosted ? [Path.Combine(AppContext.BaseDirectory, "kvasir.dll"), .. list] : list)
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        };
        var process = Process.Start(start) ?? throw new CommandException($"kvasir {list[0]} could not be started.");
        // Nobody reads what it says later; a full pipe must not stop it.
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(StartTime);
        while (await process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
        {
            if (AddressPattern().Match(line) is not { Success: true } match) continue;
            _ = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
            return new ChildServer(process, new Uri(match.Groups[1].Value));
        }
        throw new CommandException($"kvasir {string.Join(' ', list)} ended before it listened: {(await errors).Trim()}");
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill();
        using var limit = new CancellationTokenSource(StopTime);
        await _process.WaitForExitAsync(limit.Token);
        _process.Dispose();
    }

    [GeneratedRegex(@"^Listening on (http://\S+)")]
    private static partial Regex AddressPattern();
}

using System.Diagnostics;
using System.Globalization;

namespace Kvasir.Server.Tests.Fixtures;

/// <summary><c>kvasir serve</c> as a process of its own.</summary>
internal sealed class ServeProcess : IAsyncDisposable
{
    private const string Listening = "Listening on ";
    private readonly Process _process;

    private ServeProcess(Process process, Uri address) => (_process, Address) = (process, address);

    public Uri Address { get; }

    /// <summary>Resident memory now and at its highest, in bytes.</summary>
    public (long Now, long Highest) Resident => (Status("VmRSS:"), Status("VmHWM:"));

    /// <summary>Starts it on a free port and waits until it listens with its model.</summary>
    public static async Task<ServeProcess> StartAsync(params string[] arguments)
    {
        var dll = Path.Combine(AppContext.BaseDirectory.Replace("Kvasir.Server.Tests", "Kvasir.Cli", StringComparison.Ordinal), "kvasir.dll");
        var start = new ProcessStartInfo(Environment.ProcessPath!.EndsWith("dotnet", StringComparison.Ordinal) ? Environment.ProcessPath : "dotnet",
            [dll, "serve", .. arguments, "--port", "0"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        try
        {
            while (await process.StandardOutput.ReadLineAsync(patience.Token) is { } line)
            {
                if (!line.StartsWith(Listening, StringComparison.Ordinal)) continue;
                _ = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
                return new ServeProcess(process, new Uri(line[Listening.Length..].Split(' ')[0]));
            }
        }
        catch (OperationCanceledException)
        {
            process.Kill();
        }
        throw new InvalidOperationException($"The server did not start: {await errors}");
    }

    /// <summary>Sends SIGTERM and gives the exit code.</summary>
    public async Task<int> TerminateAsync()
    {
        using var kill = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await _process.WaitForExitAsync();
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private long Status(string key)
    {
        var line = File.ReadLines($"/proc/{_process.Id}/status").Single(text => text.StartsWith(key, StringComparison.Ordinal));
        return long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
    }
}

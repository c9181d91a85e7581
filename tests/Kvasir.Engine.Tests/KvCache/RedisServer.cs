using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Kvasir.Engine.Tests.KvCache;

/// <summary>A real Redis server of its own for a test.</summary>
internal sealed class RedisServer : IDisposable
{
    private readonly Process _process;

    private RedisServer(Process process, int port) => (_process, Port) = (process, port);

    public int Port { get; }

    public Uri Address => new($"redis://127.0.0.1:{Port}");

    /// <summary>Starts one, or skips the test where none is installed.</summary>
    public static RedisServer Start(int port = 0, params string[] more)
    {
        var path = Array.Find(["/usr/bin/redis-server", "/usr/local/bin/redis-server", "/usr/bin/valkey-server"], File.Exists);
        Assert.SkipUnless(path is not null, "No Redis server is installed here (Debian: apt-get install redis-server).");
        if (port == 0) port = FreePort();
        var start = new ProcessStartInfo(path!) { RedirectStandardOutput = true };
        foreach (var argument in (string[])["--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", .. more]) start.ArgumentList.Add(argument);
        var server = new RedisServer(Process.Start(start)!, port);
        while (server._process.StandardOutput.ReadLine() is { } line)
        {
            if (!line.Contains("Ready to accept connections", StringComparison.Ordinal)) continue;
            // Nobody reads on: it says little, and never fills the pipe.
            return server;
        }
        throw new InvalidOperationException($"The Redis server did not start at port {port}.");
    }

    public void Kill()
    {
        if (_process.HasExited) return;
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

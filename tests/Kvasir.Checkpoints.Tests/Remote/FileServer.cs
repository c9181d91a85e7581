using System.Net;
using System.Net.Sockets;

namespace Kvasir.Checkpoints.Tests.Remote;

/// <summary>Serves a folder over HTTP on this machine, with ranges, and counts the bytes it sends.</summary>
internal sealed class FileServer : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly string _folder;
    private long _bytesSent;

    public FileServer(string folder)
    {
        _folder = folder;
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        var port = ((IPEndPoint)probe.LocalEndpoint).Port;
        probe.Stop();
        Address = new Uri($"http://127.0.0.1:{port}/org/name/resolve/main/");
        _listener.Prefixes.Add($"http://127.0.0.1:{port}/");
        _listener.Start();
        _ = Task.Run(ServeAsync);
    }

    public Uri Address { get; }
    public long BytesSent => Interlocked.Read(ref _bytesSent);
    public bool IgnoresRanges { get; init; }
    public bool Redirects { get; init; }
    public HttpStatusCode? AnswersAlways { get; init; }
    /// <summary>Sends so many bytes less than it said.</summary>
    public int CutsShort { get; init; }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception error) when (error is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
            _ = Task.Run(() => Answer(context));
        }
    }

    private void Answer(HttpListenerContext context)
    {
        try
        {
            var path = context.Request.Url!.LocalPath;
            var file = new FileInfo(Path.Combine(_folder, Path.GetFileName(path)));
            if (AnswersAlways is { } status) context.Response.StatusCode = (int)status;
            else if (Redirects && !path.StartsWith("/cdn/", StringComparison.Ordinal)) context.Response.Redirect(new Uri(Address, "/cdn" + path).AbsoluteUri);
            else if (!file.Exists) context.Response.StatusCode = 404;
            else Send(context, file);
            if (CutsShort > 0) context.Response.Abort();
            else context.Response.Close();
        }
        catch (Exception error) when (error is HttpListenerException or IOException or InvalidOperationException)
        {
            // The client has what it wanted and hung up.
            context.Response.Abort();
        }
    }

    private void Send(HttpListenerContext context, FileInfo file)
    {
        var (start, end) = (0L, file.Length - 1);
        if (!IgnoresRanges && context.Request.Headers["Range"] is { } range)
        {
            var bounds = range["bytes=".Length..].Split('-');
            (start, end) = (long.Parse(bounds[0]), Math.Min(long.Parse(bounds[1]), file.Length - 1));
            context.Response.StatusCode = 206;
            context.Response.Headers["Content-Range"] = $"bytes {start}-{end}/{file.Length}";
        }
        context.Response.ContentLength64 = end - start + 1;
        using var stream = file.OpenRead();
        stream.Position = start;
        var part = new byte[16 << 10];
        for (var left = end - start + 1 - CutsShort; left > 0;)
        {
            var read = stream.Read(part, 0, (int)Math.Min(part.Length, left));
            context.Response.OutputStream.Write(part, 0, read);
            Interlocked.Add(ref _bytesSent, read);
            left -= read;
        }
    }

    public void Dispose() => _listener.Close();
}

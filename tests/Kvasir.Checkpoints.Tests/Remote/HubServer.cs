using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace Kvasir.Checkpoints.Tests.Remote;

/// <summary>A hub on this machine, over bare sockets so that it can misbehave: it breaks connections, ignores ranges, refuses, redirects to a store on another port.</summary>
internal sealed class HubServer : IDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly TcpListener _store = new(IPAddress.Loopback, 0);
    private readonly Dictionary<string, byte[]> _files = [];
    private readonly List<string> _requests = [];
    private readonly CancellationTokenSource _stop = new();

    public HubServer()
    {
        _listener.Start();
        _store.Start();
        Address = new Uri($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/");
        StoreAddress = new Uri($"http://127.0.0.1:{((IPEndPoint)_store.LocalEndpoint).Port}/");
        _ = AcceptAsync(_listener, isStore: false);
        _ = AcceptAsync(_store, isStore: true);
    }

    public Uri Address { get; }
    public Uri StoreAddress { get; }
    public bool IgnoresRanges { get; set; }
    public bool SaysChecksums { get; set; } = true;
    public bool SaysLengths { get; set; } = true;
    public bool RedirectsToStore { get; set; }
    public string? RequiredToken { get; set; }
    /// <summary>Breaks each connection after so many bytes of a body.</summary>
    public int BreaksAfter { get; set; } = int.MaxValue;
    /// <summary>Stops breaking after so many times.</summary>
    public int Breaks { get; set; } = int.MaxValue;
    /// <summary>Answers so many requests with this status first.</summary>
    public (int Times, int Status, string Header) Refuses { get; set; }
    /// <summary>Sends a wrong byte so many times.</summary>
    public int Damages { get; set; }
    /// <summary>Sends the headers and then nothing.</summary>
    public bool Stalls { get; set; }
    public long BytesSent { get; private set; }

    /// <summary>Lines of all requests: "GET /path range authorization".</summary>
    public IReadOnlyList<string> Requests
    {
        get { lock (_requests) return [.. _requests]; }
    }

    public void Add(string file, byte[] content) => _files[file] = content;

    public void AddFolder(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder)) Add(Path.GetFileName(file), File.ReadAllBytes(file));
    }

    private async Task AcceptAsync(TcpListener listener, bool isStore)
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptTcpClientAsync(_stop.Token);
                _ = Task.Run(() => AnswerAsync(client, isStore));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task AnswerAsync(TcpClient client, bool isStore)
    {
        using var _ = client;
        try
        {
            var stream = client.GetStream();
            using var reader = new StreamReader(stream, Encoding.ASCII, false, 4096, leaveOpen: true);
            var path = (await reader.ReadLineAsync())?.Split(' ')[1] ?? "";
            string range = "", authorization = "";
            while (await reader.ReadLineAsync() is { Length: > 0 } line)
            {
                if (line.StartsWith("Range: ", StringComparison.OrdinalIgnoreCase)) range = line["Range: ".Length..];
                if (line.StartsWith("Authorization: ", StringComparison.OrdinalIgnoreCase)) authorization = line["Authorization: ".Length..];
            }
            lock (_requests) _requests.Add($"{(isStore ? "store" : "hub")} {path} {range} {authorization}".TrimEnd());
            await stream.WriteAsync(Headers(path, range, authorization, isStore, out var body));
            if (Stalls) await Task.Delay(Timeout.Infinite, _stop.Token);
            await SendAsync(stream, body);
        }
        catch (Exception error) when (error is IOException or SocketException or OperationCanceledException)
        {
            // The client hung up.
        }
    }

    private async Task SendAsync(NetworkStream stream, ReadOnlyMemory<byte> body)
    {
        if (body.Length > BreaksAfter && Breaks > 0)
        {
            Breaks--;
            body = body[..BreaksAfter];
        }
        await stream.WriteAsync(body);
        BytesSent += body.Length;
    }

    private byte[] Headers(string path, string range, string authorization, bool isStore, out ReadOnlyMemory<byte> body)
    {
        body = default;
        if (Refuses.Times > 0)
        {
            Refuses = Refuses with { Times = Refuses.Times - 1 };
            return Answer(Refuses.Status, Refuses.Header);
        }
        if (RequiredToken is { } token && !isStore && authorization != $"Bearer {token}") return Answer(401, "X-Error-Message: Access to model org/name is restricted.");
        if (path == "/api/models/org/name") return Json("{\"siblings\":[" + string.Join(',', _files.Keys.Select(name => $"{{\"rfilename\":\"{name}\"}}")) + "]}", out body);
        var file = new[] { "/org/name/resolve/main/", $"/org/name/resolve/{Commit}/", "/store/" }.Where(prefix => path.StartsWith(prefix, StringComparison.Ordinal)).Select(prefix => path[prefix.Length..]).FirstOrDefault();
        if (file is null || !_files.TryGetValue(file, out var content)) return Answer(404);
        var tag = SaysChecksums ? Tag(content) : "";
        if (RedirectsToStore && !isStore) return Answer(302, $"Location: {StoreAddress}store/{file}", $"X-Linked-Size: {content.Length}", $"X-Linked-ETag: \"{tag}\"", $"X-Repo-Commit: {Commit}");
        var lines = new List<string> { isStore ? "ETag: \"of the store\"" : $"ETag: \"{tag}\"", $"X-Repo-Commit: {Commit}" };
        var from = 0;
        if (range.Length > 0 && !IgnoresRanges)
        {
            from = int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture);
            if (from >= content.Length) return Answer(416);
            lines.Add($"Content-Range: bytes {from}-{content.Length - 1}/{content.Length}");
        }
        if (SaysLengths) lines.Add($"Content-Length: {content.Length - from}");
        var copy = content[from..];
        if (Damages > 0 && copy.Length > 0)
        {
            Damages--;
            copy[^1] ^= 1;
        }
        body = copy;
        return Head(range.Length > 0 && !IgnoresRanges ? 206 : 200, lines);
    }

    [SuppressMessage("Security", "CA5350", Justification = "Git names blobs by SHA-1.")]
    // Small files have git's checksum, large ones SHA-256: here "large" begins at a kilobyte.
    private static string Tag(byte[] content) => Convert.ToHexStringLower(content.Length >= 1024
        ? SHA256.HashData(content)
        : SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));

    private static byte[] Json(string json, out ReadOnlyMemory<byte> body)
    {
        body = Encoding.UTF8.GetBytes(json);
        return Head(200, [$"Content-Length: {body.Length}"]);
    }

    private static byte[] Answer(int status, params string[] lines) => Head(status, [.. lines.Where(line => line.Length > 0), "Content-Length: 0"]);

    private static byte[] Head(int status, IEnumerable<string> lines) =>
        Encoding.ASCII.GetBytes($"HTTP/1.1 {status} {(HttpStatusCode)status}\r\nConnection: close\r\n{string.Concat(lines.Select(line => line + "\r\n"))}\r\n");

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _store.Dispose();
        _stop.Dispose();
    }
}

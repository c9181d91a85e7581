using System.Text;
using Kvasir.Gateway.Fleet;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Gateway.Forwarding;

/// <summary>
/// Which worker keeps a stored response: whoever asks for it again, or goes on from it, must be sent there. The oldest are
/// forgotten beyond a bound.
/// </summary>
internal sealed class ResponseHomes(int capacity = 1 << 16)
{
    private const string Path = "/v1/responses";
    private const int LongestId = 128;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Worker> _homes = new(StringComparer.Ordinal);
    private readonly Queue<string> _order = new();

    /// <summary>Whether a request asks for a new response.</summary>
    public static bool IsCreation(HttpRequest request) => HttpMethods.IsPost(request.Method) && request.Path.Equals(Path, StringComparison.Ordinal);

    /// <summary>Notes a response by the beginning of its answer.</summary>
    public void Remember(ReadOnlySpan<byte> beginning, Worker worker)
    {
        var mark = "\"resp_"u8;
        var start = beginning.IndexOf(mark) + 1;
        var length = start > 0 ? beginning[start..].IndexOf((byte)'"') : -1;
        if (length is < 0 or > LongestId) return;
        var id = Encoding.UTF8.GetString(beginning.Slice(start, length));
        lock (_lock)
        {
            if (!_homes.TryAdd(id, worker)) return;
            _order.Enqueue(id);
            if (_order.Count > capacity) _homes.Remove(_order.Dequeue());
        }
    }

    /// <summary>Who keeps the response that a request is about, or null.</summary>
    /// <param name="request">Its path may name one.</param>
    /// <param name="previous">The one that it goes on from, or null.</param>
    public Worker? Of(HttpRequest request, string? previous)
    {
        var id = previous;
        if (request.Path.StartsWithSegments(Path, out var rest) && rest.Value is { Length: > 1 } named) id = named[1..].Split('/')[0];
        if (id is null) return null;
        lock (_lock) return _homes.GetValueOrDefault(id) is { Removed: false } worker ? worker : null;
    }
}

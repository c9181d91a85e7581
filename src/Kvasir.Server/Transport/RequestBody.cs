using System.Buffers;
using Kvasir.Protocol.OpenAi;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Kvasir.Server.Transport;

/// <summary>Reads request bodies: declared as JSON, bounded in size, few large ones at a time.</summary>
public sealed class RequestBody : IDisposable
{
    /// <summary>
    /// Bytes beyond the bound that are received and thrown away: a connection that is closed while its client still sends
    /// is reset, and the client never sees why it was refused.
    /// </summary>
    public const long DiscardedBytes = 64 << 20;

    private const int SmallBytes = 64 << 10;
    private const int LargeAtATime = 4;
    private static readonly MinDataRate LargeRate = new(bytesPerSecond: 32 << 10, gracePeriod: TimeSpan.FromSeconds(10));

    private readonly long maxBytes;
    private readonly SemaphoreSlim large = new(LargeAtATime);

    /// <summary>Creates a reader for bodies of at most <paramref name="maxBytes"/>.</summary>
    public RequestBody(long maxBytes) => this.maxBytes = maxBytes;

    /// <summary>Reads a body and hands it to a parser. What is large is read and parsed a few at a time, so that many large bodies take no more memory than a few.</summary>
    public async ValueTask<(T? Value, RequestFailure? Failure)> ReadAsync<T>(HttpContext http, Parser<T> parse) where T : class
    {
        var request = http.Request;
        if (!IsJson(request.ContentType))
            return (null, new RequestFailure(FailureKind.UnsupportedMediaType,
                $"Content-Type is '{request.ContentType ?? "(none)"}'; expected application/json."));
        if (request.ContentLength > maxBytes) return (null, TooLarge());
        if (request.ContentLength <= SmallBytes) return await ReadParsedAsync(http, parse);
        // Places are few: who takes one must send.
        if (http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate) rate.MinDataRate = LargeRate;
        await large.WaitAsync(http.RequestAborted);
        try
        {
            return await ReadParsedAsync(http, parse);
        }
        finally
        {
            large.Release();
        }
    }

    /// <summary>A parser of bodies, such as <see cref="ChatCompletionRequest.Parse"/>.</summary>
    public delegate T? Parser<T>(ReadOnlyMemory<byte> body, out RequestFailure? failure) where T : class;

    /// <inheritdoc/>
    public void Dispose() => large.Dispose();

    private async ValueTask<(T?, RequestFailure?)> ReadParsedAsync<T>(HttpContext http, Parser<T> parse) where T : class
    {
        var reader = http.Request.BodyReader;
        var isTooLarge = false;
        while (true)
        {
            var read = await reader.ReadAsync(http.RequestAborted);
            isTooLarge |= read.Buffer.Length > maxBytes;
            if (isTooLarge)
            {
                reader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return (null, TooLarge());
                continue;
            }
            if (!read.IsCompleted)
            {
                reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                continue;
            }
            var value = Parse(read.Buffer, parse, out var failure);
            reader.AdvanceTo(read.Buffer.End);
            return (value, failure);
        }
    }

    private static T? Parse<T>(in ReadOnlySequence<byte> body, Parser<T> parse, out RequestFailure? failure) where T : class
    {
        if (body.IsSingleSegment) return parse(body.First, out failure);
        // A large array for each body would be garbage of the kind that is collected last.
        var length = (int)body.Length;
        var bytes = ArrayPool<byte>.Shared.Rent(length);
        body.CopyTo(bytes);
        try
        {
            return parse(bytes.AsMemory(0, length), out failure);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private RequestFailure TooLarge() =>
        new(FailureKind.BodyTooLarge, $"The body is larger than the {maxBytes} bytes that this server reads.");

    private static bool IsJson(string? contentType)
    {
        var type = contentType?.Split(';')[0].Trim();
        return type is not null && (type.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || type.EndsWith("+json", StringComparison.OrdinalIgnoreCase));
    }
}

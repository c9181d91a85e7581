using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace Kvasir.Checkpoints.Remote;

/// <summary>A file behind HTTP of which parts are fetched by ranges (RFC 9110, §14). Only bytes asked for travel, even from a server that ignores ranges.</summary>
public sealed class RemoteFile
{
    private readonly HttpClient _http;

    private RemoteFile(HttpClient http, Uri address) => (_http, Address) = (http, address);

    /// <summary>Where the file is.</summary>
    public Uri Address { get; }

    /// <summary>Bytes of the whole file.</summary>
    public long Length { get; private set; }

    /// <summary>Bytes fetched so far.</summary>
    public long BytesFetched { get; private set; }

    /// <summary>Opens a file by fetching its first bytes.</summary>
    /// <param name="http">Carries credentials and time limits.</param>
    /// <param name="address">The file.</param>
    /// <param name="firstBytes">How many bytes to fetch at once; fewer where the file is shorter.</param>
    /// <param name="cancel">Stops fetching.</param>
    /// <returns>The file and its first bytes, or null where the server has no such file.</returns>
    /// <exception cref="CheckpointException">The server refuses, cannot be reached, or does not say how long the file is.</exception>
    public static async Task<(RemoteFile File, byte[] Start)?> OpenAsync(HttpClient http, Uri address, int firstBytes, CancellationToken cancel)
    {
        var file = new RemoteFile(http, address);
        return await file.FetchAsync(0, firstBytes, missingIsNull: true, cancel).ConfigureAwait(false) is { } start ? (file, start) : null;
    }

    /// <summary>Fetches a small file whole.</summary>
    /// <param name="http">Carries credentials and time limits.</param>
    /// <param name="address">The file.</param>
    /// <param name="mostBytes">A larger file is refused.</param>
    /// <param name="cancel">Stops fetching.</param>
    /// <returns>Its bytes, or null where the server has no such file.</returns>
    public static async Task<byte[]?> ReadAllAsync(HttpClient http, Uri address, int mostBytes, CancellationToken cancel)
    {
        var file = new RemoteFile(http, address);
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        return await file.SendAsync(request, async response =>
        {
            if (response.StatusCode == HttpStatusCode.NotFound) return null;
            if (!response.IsSuccessStatusCode) throw file.Refused(response.StatusCode);
            using var body = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
            using var bytes = new MemoryStream();
            var part = new byte[1 << 16];
            for (int read; (read = await body.ReadAsync(part, cancel).ConfigureAwait(false)) > 0;)
            {
                bytes.Write(part, 0, read);
                if (bytes.Length > mostBytes) throw new CheckpointException($"{address} has more than {mostBytes} bytes, which is not what a file of its name holds.");
            }
            return bytes.ToArray();
        }, cancel).ConfigureAwait(false);
    }

    /// <summary>Fetches the bytes [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="count"/>), cut at the file's end.</summary>
    public async Task<byte[]> ReadAsync(long offset, int count, CancellationToken cancel) =>
        (await FetchAsync(offset, (int)Math.Min(count, Math.Max(0, Length - offset)), missingIsNull: false, cancel).ConfigureAwait(false))!;

    private async Task<byte[]?> FetchAsync(long offset, int count, bool missingIsNull, CancellationToken cancel)
    {
        if (count == 0) return [];
        using var request = new HttpRequestMessage(HttpMethod.Get, Address);
        request.Headers.Range = new RangeHeaderValue(offset, offset + count - 1);
        return await SendAsync(request, async response =>
        {
            if (response.StatusCode == HttpStatusCode.NotFound && missingIsNull) return null;
            if (!response.IsSuccessStatusCode) throw Refused(response.StatusCode);
            var ranged = response.StatusCode == HttpStatusCode.PartialContent;
            var length = ranged ? response.Content.Headers.ContentRange?.Length : response.Content.Headers.ContentLength;
            if (length is null || (ranged && response.Content.Headers.ContentRange?.From != offset))
                throw new CheckpointException($"{Address} answers a request for bytes {offset} to {offset + count - 1} without saying which bytes these are and how long the file is. Download the model and plan from its files.");
            if (Length != 0 && length != Length) throw new CheckpointException($"{Address} has changed from {Length} to {length} bytes while its header was read. Try again.");
            Length = length.Value;
            return await ReadBodyAsync(response, ranged ? 0 : offset, (int)Math.Min(count, Length - offset), cancel).ConfigureAwait(false);
        }, cancel).ConfigureAwait(false);
    }

    private async Task<byte[]?> SendAsync(HttpRequestMessage request, Func<HttpResponseMessage, Task<byte[]?>> read, CancellationToken cancel)
    {
        try
        {
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
            return await read(response).ConfigureAwait(false);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw new CheckpointException($"{Address} cannot be read: {error.Message} Check the connection and the address.", error);
        }
        catch (TaskCanceledException error) when (!cancel.IsCancellationRequested)
        {
            throw new CheckpointException($"{Address} did not answer in time. Try again, or download the model and plan from its files.", error);
        }
    }

    private async Task<byte[]> ReadBodyAsync(HttpResponseMessage response, long skip, int count, CancellationToken cancel)
    {
        using var body = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
        // A server without ranges sends the file from its beginning; what lies before the part is read and dropped.
        var dropped = new byte[Math.Min(skip, 1 << 16)];
        for (var left = skip; left > 0;)
        {
            var read = await body.ReadAsync(dropped.AsMemory(0, (int)Math.Min(left, dropped.Length)), cancel).ConfigureAwait(false);
            if (read == 0) throw Short(skip - left, skip + count);
            left -= read;
            BytesFetched += read;
        }
        var bytes = new byte[count];
        var taken = await body.ReadAtLeastAsync(bytes, count, throwOnEndOfStream: false, cancel).ConfigureAwait(false);
        BytesFetched += taken;
        return taken == count ? bytes : throw Short(taken, count);
    }

    private CheckpointException Short(long got, long expected) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{Address} sent {got} of {expected} bytes and stopped. Try again."));

    private CheckpointException Refused(HttpStatusCode status) => new(status switch
    {
        HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => $"{Address} needs a login ({(int)status}). Accept the model's terms on its page and set HF_TOKEN.",
        HttpStatusCode.NotFound => $"{Address} does not exist. Check the spelling of the model and the file.",
        HttpStatusCode.TooManyRequests => $"{Address} refuses for now because of too many requests (429). Wait a minute and try again.",
        _ => $"{Address} answers with an error ({(int)status} {status}). Try again later.",
    });
}

using System.Globalization;
using System.Net;

namespace Kvasir.Checkpoints.Remote;

/// <summary>
/// Brings one file here. What has arrived lies beside its place as name.part until all of it is there and its checksum
/// is right; a broken connection, or another run, continues it. name.part-of says of which version the part is.
/// </summary>
internal sealed class FileDownload(HubConnection connection, Uri address, string path, IProgress<HubProgress>? progress)
{
    // An answer that does not say its length could go on for ever; the files of models that come so are small.
    private const long MostBytesOfUnknownLength = 1L << 28;
    private const int BufferBytes = 1 << 18;

    private readonly string _part = path + ".part";
    private readonly string _version = path + ".part-of";
    private readonly string _name = Path.GetFileName(path);
    private long _furthest;
    private int _wrongChecksums;

    /// <summary>The commit that the hub says the file is of.</summary>
    public string? Commit { get; private set; }

    /// <summary>Fetches the file; false where there is none at the address.</summary>
    /// <exception cref="CheckpointException">It cannot be had; the part stays for the next run.</exception>
    public async Task<bool> RunAsync(CancellationToken cancel)
    {
        var options = connection.Options;
        for (var failures = 0; ;)
        {
            var before = _furthest;
            try
            {
                if (await AttemptAsync(cancel).ConfigureAwait(false) is { } found) return found;
                continue;
            }
            catch (TransferException error)
            {
                failures = _furthest > before ? 1 : failures + 1;
                var wait = error.RetryAfter is { } asked && asked > TimeSpan.Zero ? asked : options.FirstWait * (1 << (failures - 1));
                if (failures >= options.Attempts || wait > options.LongestWait)
                    throw new CheckpointException($"{error.Message}; {(wait > options.LongestWait ? $"it asks to wait {wait.TotalSeconds:0} s" : $"{failures} attempts brought nothing further")}. The same command continues where this one stopped.", error);
                progress?.Report(new HubProgress(_name, _furthest, null, $"{error.Message}; next attempt in {Math.Ceiling(wait.TotalSeconds):0} s"));
                await Task.Delay(wait, options.Time, cancel).ConfigureAwait(false);
            }
            catch (IOException error)
            {
                throw new CheckpointException($"{path} cannot be written: {error.Message} Free some space, or name another folder with {CacheFolder.Variable}.", error);
            }
        }
    }

    /// <summary>True: the file is here. False: there is none. Null: what was here is of no use; begin anew.</summary>
    private async Task<bool?> AttemptAsync(CancellationToken cancel)
    {
        var from = File.Exists(_part) && File.Exists(_version) ? new FileInfo(_part).Length : 0;
        using var answer = await connection.GetAsync(address, from, cancel).ConfigureAwait(false);
        if (answer is null) return false;
        Commit = answer.Commit;
        var version = answer.Tag ?? string.Create(CultureInfo.InvariantCulture, $"{answer.Length} bytes");
        var continues = from > 0 && answer.Response.StatusCode == HttpStatusCode.PartialContent;
        if (answer.Response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable || (continues && (answer.Response.Content.Headers.ContentRange?.From != from || !await IsOfAsync(version, cancel).ConfigureAwait(false))))
        {
            if (from == 0) throw new TransferException($"{address} refuses to be read from its beginning");
            Forget();
            return null;
        }
        if (!continues)
        {
            // A server that ignores ranges sends the file from its beginning.
            from = 0;
            await File.WriteAllTextAsync(_version, version, cancel).ConfigureAwait(false);
        }
        CheckSpace(answer.Length - from);
        await ReceiveAsync(answer, from, cancel).ConfigureAwait(false);
        File.Move(_part, path, overwrite: true);
        File.Delete(_version);
        return true;
    }

    private async Task ReceiveAsync(HubConnection.Answer answer, long from, CancellationToken cancel)
    {
        var file = new FileStream(_part, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.Read, BufferSize = 0, Options = FileOptions.Asynchronous });
        await using (file.ConfigureAwait(false))
        {
            file.SetLength(from);
            using var checksum = Checksum.Of(answer.Tag, answer.Length);
            var buffer = new byte[BufferBytes];
            if (checksum is not null)
                for (int read; (read = await file.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0;) checksum.Append(buffer.AsSpan(0, read));
            file.Position = from;
            var arrived = from;
            for (int read; (read = await ReadAsync(answer, buffer, arrived, cancel).ConfigureAwait(false)) > 0;)
            {
                await file.WriteAsync(buffer.AsMemory(0, read), cancel).ConfigureAwait(false);
                checksum?.Append(buffer.AsSpan(0, read));
                arrived += read;
                _furthest = Math.Max(_furthest, arrived);
                if (arrived > (answer.Length ?? MostBytesOfUnknownLength)) throw new CheckpointException($"{address} sends more than the {answer.Length ?? MostBytesOfUnknownLength} bytes that were expected.");
                progress?.Report(new HubProgress(_name, arrived, answer.Length));
            }
            if (answer.Length is { } length && arrived < length) throw new TransferException($"{address} broke off after {arrived} of {length} bytes");
            if (checksum?.Difference() is { } difference) Reject(file, difference);
            file.Flush(flushToDisk: true);
        }
    }

    private async Task<int> ReadAsync(HubConnection.Answer answer, byte[] buffer, long arrived, CancellationToken cancel)
    {
        using var stall = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        stall.CancelAfter(connection.Options.StallTime);
        try
        {
            var body = await answer.Response.Content.ReadAsStreamAsync(stall.Token).ConfigureAwait(false);
            return await body.ReadAsync(buffer, stall.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw new TransferException($"{address} broke off after {arrived} bytes", null, error);
        }
        catch (OperationCanceledException error) when (!cancel.IsCancellationRequested)
        {
            throw new TransferException($"{address} sent nothing for {connection.Options.StallTime.TotalSeconds:0} s after {arrived} bytes", null, error);
        }
    }

    private async Task<bool> IsOfAsync(string version, CancellationToken cancel) => await File.ReadAllTextAsync(_version, cancel).ConfigureAwait(false) == version;

    private void Forget()
    {
        File.Delete(_part);
        File.Delete(_version);
        _furthest = 0;
    }

    private void Reject(FileStream file, string difference)
    {
        // An empty part: the next attempt begins anew.
        file.SetLength(0);
        if (++_wrongChecksums > 1) throw new CheckpointException($"{address} arrived damaged twice: {difference}. Try again later, or another HF_ENDPOINT.");
        throw new TransferException($"{address} arrived damaged: {difference}");
    }

    private void CheckSpace(long? bytes)
    {
        if (bytes is not { } needed || new DriveInfo(Path.GetDirectoryName(Path.GetFullPath(path))!).AvailableFreeSpace is var free && free >= needed) return;
        throw new CheckpointException($"{_name} needs {new ByteSize(needed)}, but {Path.GetDirectoryName(path)} has {new ByteSize(free)} free. Free some space, or name another folder with {CacheFolder.Variable}.");
    }
}

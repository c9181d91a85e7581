using System.Buffers.Binary;
using System.Text.Json;

namespace Kvasir.Checkpoints.Remote;

/// <summary>
/// A remote checkpoint's headers as local files: each weight file has its true length and its header, the rest is a hole
/// that takes no disk. Everything that reads headers reads it; weights it has none. Deleted when disposed.
/// </summary>
public sealed class HeaderMirror : IDisposable
{
    /// <summary>Bytes that are fetched of a file at first: enough for the header of most safetensors files.</summary>
    public const int FirstBytes = 64 << 10;

    private const int LargestJson = 32 << 20;
    private const long LargestSafetensorsHeader = 100L << 20;
    private const int ConcurrentFiles = 8;
    private const int MostFiles = 4096;

    private readonly DirectoryInfo _folder;
    private long _bytesFetched;
    private int _requests;

    private HeaderMirror(DirectoryInfo folder) => (_folder, Path) = (folder, folder.FullName);

    /// <summary>What to open: a folder with config.json and safetensors, or a GGUF file.</summary>
    public string Path { get; private set; }

    /// <summary>Bytes that travelled, headers of HTTP aside.</summary>
    public long BytesFetched => _bytesFetched;

    /// <summary>Files that were opened.</summary>
    public int FilesOpened => _requests;

    /// <summary>Fetches the headers of a repository of safetensors: config.json and model.safetensors, or the shards of its index.</summary>
    /// <param name="http">Carries credentials and time limits.</param>
    /// <param name="folder">Address of the repository's files; ends with a slash.</param>
    /// <param name="cancel">Stops fetching.</param>
    /// <exception cref="CheckpointException">There is no such model, or its files are damaged.</exception>
    public static Task<HeaderMirror> OfSafetensorsAsync(HttpClient http, Uri folder, CancellationToken cancel = default) => Create(async mirror =>
    {
        if (!await mirror.FetchJsonAsync(http, folder, "config.json", cancel).ConfigureAwait(false))
            throw new CheckpointException($"{folder} has no config.json, or does not exist. Check the model's name; of a repository with GGUF files, name one: hf:org/name/file.gguf.");
        if (!await mirror.FetchJsonAsync(http, folder, "model.safetensors.index.json", cancel).ConfigureAwait(false))
        {
            if (!await mirror.FetchSafetensorsAsync(http, folder, "model.safetensors", cancel).ConfigureAwait(false))
                throw new CheckpointException($"{folder} has neither model.safetensors nor model.safetensors.index.json. Give a repository with safetensors, or a GGUF file in it.");
            return;
        }
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = ConcurrentFiles, CancellationToken = cancel };
        await Parallel.ForEachAsync(mirror.Shards(folder), parallel, async (shard, stop) =>
        {
            if (!await mirror.FetchSafetensorsAsync(http, folder, shard, stop).ConfigureAwait(false))
                throw new CheckpointException($"{new Uri(folder, shard)} does not exist, though the index lists it. The upload may be unfinished.");
        }).ConfigureAwait(false);
    });

    /// <summary>Fetches the header of a GGUF file, or those of all files of its set.</summary>
    /// <param name="http">Carries credentials and time limits.</param>
    /// <param name="file">The file, or the first of a set (…-00001-of-000NN.gguf).</param>
    /// <param name="cancel">Stops fetching.</param>
    /// <exception cref="CheckpointException">There is no such file, or it is damaged.</exception>
    public static Task<HeaderMirror> OfGgufAsync(HttpClient http, Uri file, CancellationToken cancel = default) => Create(async mirror =>
    {
        var name = Uri.UnescapeDataString(file.Segments[^1]);
        mirror.Path = System.IO.Path.Combine(mirror._folder.FullName, name);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = ConcurrentFiles, CancellationToken = cancel };
        await Parallel.ForEachAsync(HubModel.SetOf(name), parallel, (part, stop) => mirror.FetchGgufAsync(http, new Uri(file, Uri.EscapeDataString(part)), part, stop)).ConfigureAwait(false);
    });

    /// <summary>Deletes the files.</summary>
    public void Dispose()
    {
        try
        {
            _folder.Delete(recursive: true);
        }
        catch (IOException)
        {
            // Something still reads a file; the system empties its temporary folder.
        }
    }

    private static async Task<HeaderMirror> Create(Func<HeaderMirror, Task> fill)
    {
        var mirror = new HeaderMirror(Directory.CreateTempSubdirectory("kvasir-headers-"));
        try
        {
            await fill(mirror).ConfigureAwait(false);
            return mirror;
        }
        catch
        {
            mirror.Dispose();
            throw;
        }
    }

    private async Task<bool> FetchJsonAsync(HttpClient http, Uri folder, string name, CancellationToken cancel)
    {
        Interlocked.Increment(ref _requests);
        if (await RemoteFile.ReadAllAsync(http, new Uri(folder, name), LargestJson, cancel).ConfigureAwait(false) is not { } bytes) return false;
        Count(bytes.Length);
        await File.WriteAllBytesAsync(Local(name), bytes, cancel).ConfigureAwait(false);
        return true;
    }

    private async Task<bool> FetchSafetensorsAsync(HttpClient http, Uri folder, string name, CancellationToken cancel)
    {
        if (await OpenAsync(http, new Uri(folder, Uri.EscapeDataString(name)), cancel).ConfigureAwait(false) is not var (file, start)) return false;
        var header = start.Length >= 8 ? BinaryPrimitives.ReadUInt64LittleEndian(start) : ulong.MaxValue;
        if (header > (ulong)Math.Clamp(file.Length - 8, 0, LargestSafetensorsHeader))
            throw new CheckpointException($"{file.Address} is not a safetensors file: it claims a header of {header} bytes and has {file.Length}.");
        var rest = await file.ReadAsync(start.Length, (int)Math.Max(0, 8 + (long)header - start.Length), cancel).ConfigureAwait(false);
        Count(rest.Length);
        using var mirror = CreateHole(name, file.Length);
        // Of a small file the first bytes may reach into the weights, which the mirror does not keep.
        RandomAccess.Write(mirror, start.AsSpan(0, (int)Math.Min(start.Length, 8 + (long)header)), 0);
        RandomAccess.Write(mirror, rest, start.Length);
        return true;
    }

    private async ValueTask FetchGgufAsync(HttpClient http, Uri address, string name, CancellationToken cancel)
    {
        if (await OpenAsync(http, address, cancel).ConfigureAwait(false) is not var (file, start)) throw new CheckpointException($"{address} does not exist. Check the spelling of the model and the file.");
        using var mirror = CreateHole(name, file.Length);
        RandomAccess.Write(mirror, start, 0);
        await new GgufHeaderWalk(file, start, (offset, part) =>
        {
            Count(part.Length);
            RandomAccess.Write(mirror, part, offset);
        }).RunAsync(cancel).ConfigureAwait(false);
    }

    private async Task<(RemoteFile File, byte[] Start)?> OpenAsync(HttpClient http, Uri address, CancellationToken cancel)
    {
        Interlocked.Increment(ref _requests);
        if (await RemoteFile.OpenAsync(http, address, FirstBytes, cancel).ConfigureAwait(false) is not { } opened) return null;
        Count(opened.Start.Length);
        return opened;
    }

    private void Count(long bytes) => Interlocked.Add(ref _bytesFetched, bytes);

    private Microsoft.Win32.SafeHandles.SafeFileHandle CreateHole(string name, long length)
    {
        var handle = File.OpenHandle(Local(name), FileMode.CreateNew, FileAccess.Write);
        RandomAccess.SetLength(handle, length);
        return handle;
    }

    private string Local(string name) => IsPlain(name)
        ? System.IO.Path.Combine(_folder.FullName, name)
        : throw new CheckpointException($"\"{name}\" is not the name of a file beside config.json; the index is damaged.");

    // A name from a server must not lead out of the folder.
    private static bool IsPlain(string name) => HubModel.IsPlain(name);

    private List<string> Shards(Uri folder)
    {
        try
        {
            using var index = JsonDocument.Parse(File.ReadAllBytes(Local("model.safetensors.index.json")));
            var shards = index.RootElement.GetProperty("weight_map").EnumerateObject().Select(entry => entry.Value.GetString() ?? "").Distinct().Order(StringComparer.Ordinal).ToList();
            return shards.Count <= MostFiles && shards.TrueForAll(IsPlain) ? shards : throw new JsonException("names that are none of files beside it");
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new CheckpointException($"{new Uri(folder, "model.safetensors.index.json")} is damaged: {error.Message}", error);
        }
    }
}

using System.Text.Json;
using Kvasir.Checkpoints.HuggingFace;

namespace Kvasir.Checkpoints.Remote;

/// <summary>Brings a model from the hub into the cache. What is there already is used without asking the hub.</summary>
public sealed class HubDownload
{
    // What a directory may have beside its weights; only config.json must be there.
    private static readonly string[] SmallFiles =
        ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "chat_template.json"];

    private readonly HubModel _model;
    private readonly HubOptions _options;
    private readonly IProgress<HubProgress>? _progress;
    private readonly HubCache _cache;
    private readonly HubConnection _connection;
    private readonly List<string> _present = [];
    private string? _commit;

    private HubDownload(HubModel model, HubOptions options, IProgress<HubProgress>? progress, HubConnection connection) =>
        (_model, _options, _progress, _connection, _cache) = (model, options, progress, connection, new HubCache(options.Folder, model));

    /// <summary>The path to open if the whole model is in the cache, else null.</summary>
    public static string? Cached(HubModel model, HubOptions options) => new HubCache(options.Folder, model) is var cache && cache.IsComplete() ? cache.Target : null;

    /// <summary>Fetches what is missing; returns the GGUF file or folder to open.</summary>
    /// <param name="model">What to fetch.</param>
    /// <param name="options">From where and whereto.</param>
    /// <param name="progress">Told of every part that arrives, and of waits.</param>
    /// <param name="cancel">Stops; what has arrived is kept.</param>
    /// <exception cref="CheckpointException">The model does not exist, is refused, or cannot be fetched now.</exception>
    public static async Task<string> FetchAsync(HubModel model, HubOptions options, IProgress<HubProgress>? progress = null, CancellationToken cancel = default)
    {
        if (Cached(model, options) is { } here) return here;
        if (options.Offline)
            throw new CheckpointException($"{model} is not (or not wholly) in {options.Folder}, and {HubOptions.OfflineVariable} keeps Kvasir off the network. Unset it, or copy the model there.");
        using var connection = new HubConnection(options);
        var download = new HubDownload(model, options, progress, connection);
        try
        {
            using var own = await download.LockAsync(cancel).ConfigureAwait(false);
            if (download._cache.IsComplete()) return download._cache.Target;
            download._commit = download._cache.Pin;
            await (model.File is { } file ? download.GgufAsync(file, cancel) : download.FolderAsync(cancel)).ConfigureAwait(false);
            download._cache.Pin = null;
            return download._cache.Target;
        }
        catch (Exception error) when (error is UnauthorizedAccessException or IOException)
        {
            throw new CheckpointException($"{download._cache.Folder} cannot be written: {error.Message} Name another folder with {CacheFolder.Variable}.", error);
        }
    }

    /// <summary>Two processes that want the same model download it once.</summary>
    private async Task<FileStream> LockAsync(CancellationToken cancel)
    {
        while (true)
        {
            if (_cache.TryLock() is { } held) return held;
            _progress?.Report(new HubProgress(_model.ToString(), 0, null, $"another process is downloading {_model}"));
            await Task.Delay(TimeSpan.FromSeconds(0.5), _options.Time, cancel).ConfigureAwait(false);
        }
    }

    private async Task GgufAsync(string file, CancellationToken cancel)
    {
        foreach (var part in HubModel.SetOf(file))
            if (!await FileAsync(part, cancel).ConfigureAwait(false))
                throw new CheckpointException($"{Address(part)} does not exist.{await OfferAsync(cancel).ConfigureAwait(false)} Check the spelling of the model and the file.");
    }

    private async Task FolderAsync(CancellationToken cancel)
    {
        const string index = "model.safetensors.index.json", single = "model.safetensors";
        if (!await FileAsync("config.json", cancel).ConfigureAwait(false))
            throw new CheckpointException($"{Address("config.json")} does not exist: there is no such model, or it has no safetensors.{await OfferAsync(cancel).ConfigureAwait(false)} Of a repository with GGUF files, name one: hf:org/name/file.gguf.");
        foreach (var file in SmallFiles) await FileAsync(file, cancel).ConfigureAwait(false);
        if (!_present.Contains("tokenizer.json"))
            foreach (var file in (string[])["vocab.json", "merges.txt"]) await FileAsync(file, cancel).ConfigureAwait(false);
        if (await FileAsync(index, cancel).ConfigureAwait(false))
        {
            foreach (var shard in SafetensorsShards.ReadMap(_cache.Local(index)).Values.Distinct().Order(StringComparer.Ordinal))
                if (!HubModel.IsPlain(shard) || !await FileAsync(shard, cancel).ConfigureAwait(false))
                    throw new CheckpointException($"{Address(shard)} does not exist, though {index} lists it. The upload may be unfinished.");
        }
        else if (!await FileAsync(single, cancel).ConfigureAwait(false))
        {
            throw new CheckpointException($"{_model} has neither {single} nor {index}.{await OfferAsync(cancel).ConfigureAwait(false)} Name a repository with safetensors, or a GGUF file in it.");
        }
        _cache.Complete(_commit, _present);
    }

    private async Task<bool> FileAsync(string file, CancellationToken cancel)
    {
        var path = _cache.Local(file);
        if (!File.Exists(path))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            var download = new FileDownload(_connection, Address(file), path, _progress);
            if (!await download.RunAsync(cancel).ConfigureAwait(false)) return false;
            // All files of one commit, in this run and in those that continue it, even while the repository's owner pushes another.
            if (_commit is null && download.Commit is { Length: 40 } commit && commit.All(char.IsAsciiHexDigit)) _cache.Pin = _commit = commit;
        }
        _present.Add(file);
        return true;
    }

    private Uri Address(string file) => new(_model.Files(_options.Endpoint, _commit), string.Join('/', file.Split('/').Select(Uri.EscapeDataString)));

    /// <summary>Names the repository's GGUF files, where the hub lists them: an error that shows the way.</summary>
    private async Task<string> OfferAsync(CancellationToken cancel)
    {
        const int most = 12;
        try
        {
            var list = new Uri($"{_options.Endpoint.AbsoluteUri.TrimEnd('/')}/api/models/{_model.Repository}");
            using var answer = await _connection.GetAsync(list, 0, cancel).ConfigureAwait(false);
            if (answer is null || answer.Length > 16 << 20) return "";
            using var document = await JsonDocument.ParseAsync(await answer.Response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false), default, cancel).ConfigureAwait(false);
            var files = document.RootElement.GetProperty("siblings").EnumerateArray().Select(file => file.GetProperty("rfilename").GetString() ?? "")
                .Where(file => file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)).ToList();
            return files.Count == 0 ? "" : $" It has {string.Join(", ", files.Take(most))}{(files.Count > most ? $" and {files.Count - most} more" : "")}.";
        }
        catch (Exception error) when (error is TransferException or CheckpointException or JsonException or KeyNotFoundException or InvalidOperationException or HttpRequestException or IOException)
        {
            // Without the list the error is shorter, no more.
            return "";
        }
    }
}

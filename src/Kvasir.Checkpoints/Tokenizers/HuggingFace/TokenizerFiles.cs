using System.Text.Json;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>The JSON files of a Hugging Face directory that describe its tokenizer. What is missing is an empty object.</summary>
internal sealed class TokenizerFiles : IDisposable
{
    private readonly List<JsonDocument> _documents = [];

    /// <summary>Reads what is there.</summary>
    /// <exception cref="CheckpointException">A file is not JSON.</exception>
    public TokenizerFiles(string directory)
    {
        Directory = directory;
        Tokenizer = Read("tokenizer.json");
        Config = Read("tokenizer_config.json");
        SpecialTokens = Read("special_tokens_map.json");
        Generation = Read("generation_config.json");
        Model = Read("config.json");
    }

    /// <summary>Where the files are.</summary>
    public string Directory { get; }

    /// <summary><c>tokenizer.json</c>.</summary>
    public JsonElement Tokenizer { get; }

    /// <summary><c>tokenizer_config.json</c>.</summary>
    public JsonElement Config { get; }

    /// <summary><c>special_tokens_map.json</c>.</summary>
    public JsonElement SpecialTokens { get; }

    /// <summary><c>generation_config.json</c>.</summary>
    public JsonElement Generation { get; }

    /// <summary><c>config.json</c>.</summary>
    public JsonElement Model { get; }

    /// <summary>Whether a file is there.</summary>
    public bool Has(string name) => File.Exists(Path.Combine(Directory, name));

    /// <summary>A file's text.</summary>
    public string ReadText(string name) => File.ReadAllText(Path.Combine(Directory, name));

    /// <summary>The text of a token with a role (<c>bos_token</c> …); null where no file names it.</summary>
    public string? RoleText(string role)
    {
        foreach (var file in (JsonElement[])[Config, SpecialTokens])
            if ((file.Text(role) ?? file.Member(role).Text("content")) is { } text)
                return text;
        return null;
    }

    /// <summary>Token ids of a role in <c>generation_config.json</c>, else in <c>config.json</c>.</summary>
    public List<int> RoleIds(string role)
    {
        foreach (var file in (JsonElement[])[Generation, Model, Model.Member("text_config")])
        {
            var value = file.Member(role);
            if (value.ValueKind == JsonValueKind.Number)
                return [value.GetInt32()];
            if (value.ValueKind == JsonValueKind.Array)
                return [.. value.EnumerateArray().Select(id => id.GetInt32())];
        }
        return [];
    }

    /// <summary>Frees the parsed files.</summary>
    public void Dispose() => _documents.ForEach(document => document.Dispose());

    private JsonElement Read(string name)
    {
        string path = Path.Combine(Directory, name);
        if (!File.Exists(path))
            return default;
        try
        {
            var document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
            _documents.Add(document);
            return document.RootElement;
        }
        catch (JsonException e)
        {
            throw new CheckpointException($"{path} is not JSON ({e.Message}); download it again.", e);
        }
    }
}

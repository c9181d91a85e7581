using System.Text.Json;

namespace Kvasir.Checkpoints.HuggingFace;

/// <summary>Finds a directory's chat template: chat_template.jinja, else tokenizer_config.json's, a text or a list of named ones.</summary>
internal static class ChatTemplateFile
{
    private const long MaximumBytes = 16 << 20;

    public static string? Read(string directory)
    {
        var own = Path.Combine(directory, "chat_template.jinja");
        if (File.Exists(own))
        {
            return ReadText(own);
        }
        var config = JsonFile.TryFields(Path.Combine(directory, "tokenizer_config.json"));
        if (config is null || !config.TryFind("chat_template", out var template)) return null;
        return template.Value.ValueKind == JsonValueKind.Array ? Default(config, template.Value) : config.Text("chat_template");
    }

    private static string ReadText(string path)
    {
        try
        {
            return new FileInfo(path).Length <= MaximumBytes ? File.ReadAllText(path)
                : throw new CheckpointException($"{path} is larger than the {MaximumBytes} bytes that are read of a template.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>The template named "default", else the first.</summary>
    private static string? Default(ConfigFields config, JsonElement list)
    {
        string? first = null;
        foreach (var item in list.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{config.Source}: \"chat_template\" is a list of something other than named templates.");
            var fields = new ConfigFields(item, config.Source);
            if (fields.Text("template") is not { } text) continue;
            if (fields.Text("name") == "default") return text;
            first ??= text;
        }
        return first;
    }
}

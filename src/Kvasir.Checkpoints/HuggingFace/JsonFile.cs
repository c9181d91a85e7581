using System.Text.Json;
using System.Text.Unicode;

namespace Kvasir.Checkpoints.HuggingFace;

/// <summary>Reads the JSON files of a directory.</summary>
internal static class JsonFile
{
    // The largest are shard indices, of some megabytes.
    private const long MaximumBytes = 64 << 20;

    /// <summary>The file's root object and its bytes.</summary>
    public static (JsonElement Root, byte[] Bytes) Read(string path)
    {
        try
        {
            if (new FileInfo(path).Length > MaximumBytes)
                throw new CheckpointException($"{path} is larger than the {MaximumBytes} bytes that are read of such a file; it is not what its name says.");
            var bytes = File.ReadAllBytes(path);
            CheckTexts(bytes);
            using var document = JsonDocument.Parse(bytes);
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{path} is not a JSON object.");
            return (document.RootElement.Clone(), bytes);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new CheckpointException($"{path} is not valid JSON: {error.Message}", error);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CheckpointException($"{path} does not exist; the directory is not a complete checkpoint.", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Decodes what is escaped or not ASCII once, so that later readers of the document cannot stumble over broken UTF-8 or UTF-16.</summary>
    private static void CheckTexts(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json)) throw new JsonException("the text is not UTF-8.");
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
            if (reader.ValueIsEscaped)
                reader.GetString();
    }

    /// <summary>The file's fields, or null where there is no such file.</summary>
    public static ConfigFields? TryFields(string path) => File.Exists(path) ? new ConfigFields(Read(path).Root, path) : null;
}

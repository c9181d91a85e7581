using System.Text.Json;

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
            using var document = JsonDocument.Parse(bytes);
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{path} is not a JSON object.");
            return (document.RootElement.Clone(), bytes);
        }
        catch (JsonException error)
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

    /// <summary>The file's fields, or null where there is no such file.</summary>
    public static ConfigFields? TryFields(string path) => File.Exists(path) ? new ConfigFields(Read(path).Root, path) : null;
}

using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kvasir.Planning.Calibration;

/// <summary>Corrections kept in a file of JSON, one entry per log.</summary>
/// <param name="path">The file; it need not exist.</param>
public sealed class CorrectionStore(string path)
{
    private const long LargestFile = 16L << 20;

    /// <summary>The file where nothing else is said: corrections.json in the user's configuration folder for kvasir.</summary>
    public static CorrectionStore Default { get; } = new(System.IO.Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData, Environment.SpecialFolderOption.DoNotVerify), "kvasir", "corrections.json"));

    /// <summary>The file.</summary>
    public string Path => path;

    /// <summary>All corrections; none where there is no file.</summary>
    /// <exception cref="CalibrationException">The file cannot be read.</exception>
    public ImmutableArray<Correction> Read()
    {
        try
        {
            if (!File.Exists(path)) return [];
            if (new FileInfo(path).Length > LargestFile) throw new CalibrationException($"{path} has more than {LargestFile} bytes, which no file of corrections has. Delete it.");
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), CorrectionJson.Default.CorrectionFile)?.Corrections ?? [];
        }
        catch (JsonException error)
        {
            throw new CalibrationException($"{path} is not a file of corrections: {error.Message} Delete it and calibrate again.", error);
        }
    }

    /// <summary>Adds a correction. One of the same log, engine, version, GPU and model before it is replaced.</summary>
    public void Add(Correction correction)
    {
        var others = Read().Where(one => (one.Engine, one.Version, one.Gpu, one.Model, one.Source) != (correction.Engine, correction.Version, correction.Gpu, correction.Model, correction.Source));
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!);
        // Written beside and moved: a plan that reads meanwhile sees the old file or the new one.
        var fresh = $"{path}.new";
        File.WriteAllBytes(fresh, JsonSerializer.SerializeToUtf8Bytes(new CorrectionFile([.. others, correction]), CorrectionJson.Default.CorrectionFile));
        File.Move(fresh, path, overwrite: true);
    }
}

internal sealed record CorrectionFile(ImmutableArray<Correction> Corrections);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CorrectionFile))]
internal sealed partial class CorrectionJson : JsonSerializerContext;

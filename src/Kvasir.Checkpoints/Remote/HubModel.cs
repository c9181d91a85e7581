using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Kvasir.Checkpoints.Remote;

/// <summary>A model on the Hugging Face hub, as users write it: hf:org/name, hf:org/name/file.gguf, either with @revision behind it.</summary>
/// <param name="Organization">Whose it is.</param>
/// <param name="Name">The repository's name.</param>
/// <param name="Revision">A branch, tag or commit.</param>
/// <param name="File">A GGUF file within the repository, or null for its safetensors.</param>
public sealed partial record HubModel(string Organization, string Name, string Revision, string? File)
{
    /// <summary>What every such name begins with.</summary>
    public const string Prefix = "hf:";

    /// <summary>The branch that is meant where none is named.</summary>
    public const string MainRevision = "main";

    private const int MostFiles = 4096;

    /// <summary>Whether the text names a model on the hub rather than a path.</summary>
    public static bool IsHubName(string text) => text.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>Reads a name.</summary>
    /// <exception cref="CheckpointException">It names no model.</exception>
    public static HubModel Parse(string text) => TryParse(text, out var model)
        ? model
        : throw new CheckpointException($"'{text}' names no model on the hub; write hf:org/name, hf:org/name/file.gguf, or either with @revision behind it.");

    /// <summary>Reads a name; false where it names no model.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out HubModel? model)
    {
        model = null;
        if (!IsHubName(text)) return false;
        var name = text[Prefix.Length..];
        var revision = MainRevision;
        if (name.LastIndexOf('@') is >= 0 and var at) (name, revision) = (name[..at], name[(at + 1)..]);
        var parts = name.Split('/');
        // Each part becomes a folder of the cache: none may lead out of it.
        if (parts.Length < 2 || !parts.All(IsPlain) || !IsPlain(revision)) return false;
        var file = parts.Length == 2 ? null : string.Join('/', parts.Skip(2));
        if (file is not null && !file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) return false;
        model = new HubModel(parts[0], parts[1], revision, file);
        return true;
    }

    /// <summary>org/name.</summary>
    public string Repository => $"{Organization}/{Name}";

    /// <summary>As one writes it.</summary>
    public override string ToString() => $"{Prefix}{Repository}{(File is null ? "" : "/" + File)}{(Revision == MainRevision ? "" : "@" + Revision)}";

    /// <summary>The address of the repository's files; ends with a slash.</summary>
    /// <param name="endpoint">The hub.</param>
    /// <param name="revision">A commit instead of the revision, or null.</param>
    public Uri Files(Uri endpoint, string? revision = null) => new($"{endpoint.AbsoluteUri.TrimEnd('/')}/{Repository}/resolve/{Uri.EscapeDataString(revision ?? Revision)}/");

    /// <summary>Whether the text can be the name of one file or folder, and of nothing elsewhere.</summary>
    internal static bool IsPlain(string name) => name.Length is > 0 and < 256 && name is not ("." or "..") && PlainPattern().IsMatch(name);

    /// <summary>The files of a set (…-00001-of-000NN.gguf) by its first; a file that is none of a set, alone.</summary>
    /// <exception cref="CheckpointException">It is another than the first.</exception>
    internal static IReadOnlyList<string> SetOf(string file)
    {
        if (SetPattern().Match(file) is not { Success: true } match) return [file];
        var count = int.Parse(match.Groups["count"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
        if (count is 0 or > MostFiles || match.Groups["number"].Value != "00001") throw new CheckpointException($"{file} is not the first file of a set; name the one that ends in -00001-of-{count:00000}.gguf.");
        return [.. Enumerable.Range(1, count).Select(number => $"{match.Groups["name"].Value}-{number:00000}-of-{count:00000}.gguf")];
    }

    [GeneratedRegex(@"^[^/\\:\x00-\x1f@?#%*""<>|]+$", RegexOptions.CultureInvariant)]
    private static partial Regex PlainPattern();

    [GeneratedRegex(@"^(?<name>.*)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$", RegexOptions.CultureInvariant)]
    private static partial Regex SetPattern();
}

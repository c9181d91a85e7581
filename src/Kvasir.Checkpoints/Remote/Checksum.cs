using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Kvasir.Checkpoints.Remote;

/// <summary>
/// The checksum that the hub gives as a file's ETag, computed as bytes arrive: SHA-256 of large files (64 hexadecimal
/// digits), git's name of the blob of small ones (SHA-1 of "blob", the length, a zero byte and the content; 40 digits).
/// </summary>
internal sealed class Checksum : IDisposable
{
    private readonly IncrementalHash _hash;
    private readonly string _expected;

    private Checksum(string expected, IncrementalHash hash) => (_expected, _hash) = (expected, hash);

    /// <summary>The checksum to hold a file against; null where the tag is none.</summary>
    /// <param name="tag">The ETag without quotes.</param>
    /// <param name="length">The file's length, which git's names contain.</param>
    [SuppressMessage("Security", "CA5350", Justification = "Git names blobs by SHA-1; it detects damage here, not attackers.")]
    public static Checksum? Of(string? tag, long? length)
    {
        if (tag is null || !tag.All(char.IsAsciiHexDigit)) return null;
        if (tag.Length == 64) return new Checksum(tag, IncrementalHash.CreateHash(HashAlgorithmName.SHA256));
        if (tag.Length != 40 || length is null) return null;
        var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {length}\0")));
        return new Checksum(tag, hash);
    }

    public void Append(ReadOnlySpan<byte> bytes) => _hash.AppendData(bytes);

    /// <summary>Null where the bytes are as promised, else a sentence about both sums.</summary>
    public string? Difference()
    {
        var found = Convert.ToHexStringLower(_hash.GetHashAndReset());
        return found.Equals(_expected, StringComparison.OrdinalIgnoreCase) ? null : $"its checksum is {found}, but {_expected} was promised";
    }

    public void Dispose() => _hash.Dispose();
}

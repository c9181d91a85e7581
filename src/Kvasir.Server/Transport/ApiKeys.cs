using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace Kvasir.Server.Transport;

/// <summary>Compares keys by their hashes in constant time: how long a refusal takes says nothing about any key.</summary>
public sealed class ApiKeys
{
    private readonly ImmutableArray<byte[]> hashes;

    /// <summary>Keeps the hashes of the keys, not the keys.</summary>
    public ApiKeys(IEnumerable<string> keys) =>
        hashes = [.. keys.Select(key => SHA256.HashData(Encoding.UTF8.GetBytes(key)))];

    /// <summary>Whether a key is asked for at all.</summary>
    public bool AreRequired => !hashes.IsEmpty;

    /// <summary>A name for the key's holder that does not tell the key; null where none is asked for.</summary>
    public string? HolderOf(string? authorization) => AreRequired && authorization is { Length: > 7 }
        ? Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(authorization[7..].Trim())), 0, 8) : null;

    /// <summary>Whether the <c>Authorization</c> header carries one of the keys.</summary>
    public bool Accept(string? authorization)
    {
        if (!AreRequired) return true;
        const string scheme = "Bearer ";
        if (authorization is null || !authorization.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)) return false;
        var given = SHA256.HashData(Encoding.UTF8.GetBytes(authorization[scheme.Length..].Trim()));
        var accepted = false;
        foreach (var hash in hashes) accepted |= CryptographicOperations.FixedTimeEquals(hash, given);
        return accepted;
    }
}

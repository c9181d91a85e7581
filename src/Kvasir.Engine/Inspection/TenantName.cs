using System.Buffers.Binary;
using System.IO.Hashing;
using System.Security.Cryptography;
using System.Text;
using Kvasir.Engine.KvCache;
using Kvasir.Protocol;

namespace Kvasir.Engine.Inspection;

/// <summary>
/// Names tenants without telling their salts: whoever reads a report cannot ask in another's name. "default" is every
/// request without a salt, "unknown" texts whose beginning is gone.
/// </summary>
public static class TenantName
{
    /// <summary>Requests without a salt.</summary>
    public const string Default = "default";

    /// <summary>Whose beginning is gone.</summary>
    public const string Unknown = "unknown";

    private static readonly UInt128 NoSalt = KvGroups.Block(BlockHash.Root([]));

    /// <summary>What a tenant's first block follows.</summary>
    internal static UInt128 Root(string? salt) => salt is null ? NoSalt : KvGroups.Block(BlockHash.Root(Encoding.UTF8.GetBytes(salt)));

    /// <summary>Names on disk on whose account blocks are kept: of <see cref="GenerationRequest.Tenant"/>, 0 for nobody's.</summary>
    internal static ulong Digest(string? tenant) => tenant is null ? 0 : XxHash64.HashToUInt64(Encoding.UTF8.GetBytes(tenant));

    /// <summary>The name of a salt's tenant: 16 hexadecimal digits.</summary>
    public static string Of(string? salt) => Of(Root(salt));

    internal static string Of(UInt128 root)
    {
        if (root == NoSalt) return Default;
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, root);
        return Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 8));
    }
}

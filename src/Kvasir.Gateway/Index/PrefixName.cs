using System.IO.Hashing;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Kvasir.Gateway.Index;

/// <summary>
/// The gateway's own names of blocks: 64 bits that depend on every token up to the block's end. Blocks are hashed on their
/// own, which a processor does several at a time, and then joined to what came before by a few operations, which it must do
/// one after another. Equal names of unlike prefixes (one pair is expected among some billions of blocks) cost a wrong
/// guess about a cache, never a wrong answer.
/// </summary>
internal static class PrefixName
{
    /// <summary>The parent of a first block: whatever must keep equal tokens apart.</summary>
    public static ulong Root(ReadOnlySpan<byte> salt) => XxHash3.HashToUInt64(salt);

    /// <summary>What stands for <paramref name="parent"/> where something besides tokens (adapter, salt, image) is part of what follows.</summary>
    public static ulong Under(ulong parent, string extra) => Join(parent, XxHash3.HashToUInt64(MemoryMarshal.AsBytes(extra.AsSpan())));

    /// <summary>The name of the block with <paramref name="tokens"/> after the block named <paramref name="parent"/>.</summary>
    public static ulong Next(ulong parent, ReadOnlySpan<int> tokens) => Join(parent, XxHash3.HashToUInt64(MemoryMarshal.AsBytes(tokens)));

    /// <summary>One to one in either part, and every bit of both reaches every bit of the name (constants of SplitMix64).</summary>
    private static ulong Join(ulong parent, ulong own)
    {
        var name = BitOperations.RotateLeft(parent, 29) + (own * 0xBF58_476D_1CE4_E5B9UL);
        name = (name ^ name >> 32) * 0x94D0_49BB_1331_11EBUL;
        return name ^ name >> 29;
    }
}

using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Kvasir.Protocol;

/// <summary>
/// Names a block of tokens by everything before it: the hash of its parent's name and its own tokens. Two blocks with
/// one name hold the same tokens after the same prefix (up to a collision of 128 bits, which the owner of the bytes
/// excludes by comparing tokens).
/// </summary>
public static class BlockHash
{
    /// <summary>The parent of a first block: whatever must keep equal tokens apart (model digest, adapter, tenant, salt).</summary>
    public static UInt128 Root(ReadOnlySpan<byte> salt) => XxHash128.HashToUInt128(salt);

    /// <summary>The name of the block with <paramref name="tokens"/> after the block named <paramref name="parent"/>.</summary>
    public static UInt128 Next(UInt128 parent, ReadOnlySpan<int> tokens)
    {
        // The parent seeds the hash of the tokens and is folded in whole, so that no half of it is lost.
        var tokenHash = XxHash128.HashToUInt128(MemoryMarshal.AsBytes(tokens), (long)(ulong)parent);
        Span<ulong> both = [(ulong)(parent >> 64), (ulong)parent, (ulong)(tokenHash >> 64), (ulong)tokenHash];
        return XxHash128.HashToUInt128(MemoryMarshal.AsBytes(both));
    }

    /// <summary>Names every full block of a prompt: <paramref name="chain"/>[i] names tokens [0, (i + 1) · blockSize).</summary>
    /// <returns>The number of full blocks, at most the length of <paramref name="chain"/>.</returns>
    public static int Chain(UInt128 root, ReadOnlySpan<int> tokens, int blockSize, Span<UInt128> chain)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(blockSize);
        var blocks = Math.Min(tokens.Length / blockSize, chain.Length);
        var parent = root;
        for (var i = 0; i < blocks; i++)
            chain[i] = parent = Next(parent, tokens.Slice(i * blockSize, blockSize));
        return blocks;
    }
}

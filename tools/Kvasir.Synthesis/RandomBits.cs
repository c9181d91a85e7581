using System.Buffers.Binary;

namespace Kvasir.Synthesis;

/// <summary>SplitMix64 (Steele, Lea and Flood, 2014): the same numbers on every machine, fast enough to fill gigabytes.</summary>
internal struct RandomBits
{
    private ulong _state;

    /// <summary>The generator of one row of one tensor of one model.</summary>
    public RandomBits(ulong seed, string tensor, long row)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in tensor) hash = (hash ^ c) * 1099511628211UL;
        _state = Mix(seed + hash) + Mix((ulong)row * 0x9E3779B97F4A7C15UL + hash);
    }

    public ulong Next() => Mix(_state += 0x9E3779B97F4A7C15UL);

    public void Fill(Span<byte> bytes)
    {
        for (; bytes.Length >= 8; bytes = bytes[8..]) BinaryPrimitives.WriteUInt64LittleEndian(bytes, Next());
        if (bytes.IsEmpty) return;
        var last = Next();
        for (var i = 0; i < bytes.Length; i++) bytes[i] = (byte)(last >> (8 * i));
    }

    public static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }
}

namespace Kvasir.Engine.Sampling;

/// <summary>
/// Random numbers by position: the draw for a token depends on the request's seed and the token's position alone, so
/// neither the batch nor a preemption changes it.
/// </summary>
internal static class SeededDraw
{
    /// <summary>A number in [0, 1) from SplitMix64's finalizer (Steele, Lea, Flood 2014) over seed and position.</summary>
    public static double At(ulong seed, int position)
    {
        var x = seed + 0x9E37_79B9_7F4A_7C15UL * ((ulong)(uint)position + 1);
        x = (x ^ (x >> 30)) * 0xBF58_476D_1CE4_E5B9UL;
        x = (x ^ (x >> 27)) * 0x94D0_49BB_1331_11EBUL;
        return ((x ^ (x >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}

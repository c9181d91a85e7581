namespace Kvasir.Planning.Engines;

/// <summary>An estimate: what is likely, and between which bounds it will be.</summary>
/// <param name="Low">Bytes at least.</param>
/// <param name="Likely">Bytes as a rule.</param>
/// <param name="High">Bytes at most.</param>
public readonly record struct Band(long Low, long Likely, long High)
{
    /// <summary>A number that is known.</summary>
    public static Band Exactly(long bytes) => new(bytes, bytes, bytes);

    /// <summary>A number and its spread as fractions of it: 0.06 for ±6 %.</summary>
    public static Band Around(long bytes, double below, double above) =>
        new((long)(bytes * (1 - below)), bytes, (long)(bytes * (1 + above)));

    /// <summary>A number and its spread in bytes.</summary>
    public static Band Within(long bytes, long spread) => new(Math.Max(0, bytes - spread), bytes, bytes + spread);

    /// <summary>Bounds add up.</summary>
    public static Band operator +(Band left, Band right) => new(left.Low + right.Low, left.Likely + right.Likely, left.High + right.High);
}

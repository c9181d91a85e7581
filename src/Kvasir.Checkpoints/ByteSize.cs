using System.Globalization;

namespace Kvasir.Checkpoints;

/// <summary>A number of bytes that prints and parses in human units. GB is 10⁹, GiB is 2³⁰; they are never confused.</summary>
/// <param name="Bytes">The exact number of bytes.</param>
public readonly record struct ByteSize(long Bytes) : IComparable<ByteSize>
{
    private static readonly (string Suffix, double Factor)[] Units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40),
        ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12),
        ("K", 1L << 10), ("M", 1L << 20), ("G", 1L << 30), ("T", 1L << 40), ("B", 1),
    ];

    /// <summary>2³⁰ bytes, times <paramref name="count"/>.</summary>
    public static ByteSize FromGiB(double count) => new((long)(count * (1L << 30)));

    /// <summary>2²⁰ bytes, times <paramref name="count"/>.</summary>
    public static ByteSize FromMiB(double count) => new((long)(count * (1L << 20)));

    /// <summary>Reads "4GiB", "1.5 GB", "512M" (binary) or a plain number of bytes.</summary>
    public static bool TryParse(string? text, out ByteSize size)
    {
        size = default;
        var trimmed = text?.Trim() ?? "";
        foreach (var (suffix, factor) in Units)
            if (trimmed.EndsWith(suffix, StringComparison.OrdinalIgnoreCase))
                return TryScale(trimmed[..^suffix.Length], factor, out size);
        return TryScale(trimmed, 1, out size);
    }

    private static bool TryScale(string number, double factor, out ByteSize size)
    {
        size = default;
        if (!double.TryParse(number.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out var value)) return false;
        var bytes = value * factor;
        if (!(bytes >= 0) || bytes >= long.MaxValue) return false;
        size = new ByteSize((long)Math.Round(bytes));
        return true;
    }

    /// <summary>The size in the largest binary unit that keeps it above one: "1.50 GiB".</summary>
    public override string ToString() => Math.Abs(Bytes) switch
    {
        < 1L << 10 => $"{Bytes} B",
        < 1L << 20 => $"{Bytes / 1024.0:0.0} KiB",
        < 1L << 30 => $"{Bytes / 1048576.0:0.0} MiB",
        < 1L << 40 => $"{Bytes / 1073741824.0:0.00} GiB",
        _ => $"{Bytes / 1099511627776.0:0.00} TiB",
    };

    /// <inheritdoc/>
    public int CompareTo(ByteSize other) => Bytes.CompareTo(other.Bytes);

    /// <summary>Whether the left size is smaller.</summary>
    public static bool operator <(ByteSize left, ByteSize right) => left.Bytes < right.Bytes;
    /// <summary>Whether the left size is larger.</summary>
    public static bool operator >(ByteSize left, ByteSize right) => left.Bytes > right.Bytes;
    /// <summary>Whether the left size is smaller or equal.</summary>
    public static bool operator <=(ByteSize left, ByteSize right) => left.Bytes <= right.Bytes;
    /// <summary>Whether the left size is larger or equal.</summary>
    public static bool operator >=(ByteSize left, ByteSize right) => left.Bytes >= right.Bytes;
    /// <summary>Sum.</summary>
    public static ByteSize operator +(ByteSize left, ByteSize right) => new(left.Bytes + right.Bytes);
    /// <summary>Difference, which may be negative.</summary>
    public static ByteSize operator -(ByteSize left, ByteSize right) => new(left.Bytes - right.Bytes);
}

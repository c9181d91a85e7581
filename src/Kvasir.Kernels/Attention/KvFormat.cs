namespace Kvasir.Kernels;

/// <summary>How keys or values are stored.</summary>
public enum KvFormat
{
    /// <summary>16-bit IEEE float.</summary>
    F16,
    /// <summary>32-bit IEEE float.</summary>
    F32,
    /// <summary>16-bit float with F32's exponent.</summary>
    BF16,
    /// <summary>Signed bytes with an F16 scale per 32 values of a head: 8.5 bits a value.</summary>
    Q8_0,
    /// <summary>4-bit codes with an F16 scale per 32 values of a head: 4.5 bits a value.</summary>
    Q4_0,
    /// <summary>8-bit float E4M3 (OCP), without a scale: magnitudes beyond 448 become 448.</summary>
    FP8,
}

/// <summary>How keys and how values are stored.</summary>
/// <param name="Keys">Of keys.</param>
/// <param name="Values">Of values.</param>
public readonly record struct KvFormats(KvFormat Keys, KvFormat Values)
{
    /// <summary>The fewest bits per value of the two, scales aside.</summary>
    public int LeastBits => Math.Min(Bits(Keys), Bits(Values));

    /// <summary>Both alike.</summary>
    public static implicit operator KvFormats(KvFormat both) => FromKvFormat(both);

    /// <summary>Both alike.</summary>
    public static KvFormats FromKvFormat(KvFormat both) => new(both, both);

    /// <summary>Reads "q8_0", or keys and values apart: "k=q8_0,v=q4_0". False for anything else.</summary>
    public static bool TryParse(string text, out KvFormats formats)
    {
        formats = default;
        if (TryFormat(text, out var both))
        {
            formats = both;
            return true;
        }

        KvFormat? keys = null, values = null;
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (part.Length < 3 || part[1] != '=' || !TryFormat(part[2..], out var format)) return false;
            if (part[0] is 'k' or 'K' && keys is null) keys = format;
            else if (part[0] is 'v' or 'V' && values is null) values = format;
            else return false;
        }

        // One that is not named keeps the default.
        formats = new KvFormats(keys ?? KvFormat.F16, values ?? KvFormat.F16);
        return true;
    }

    /// <summary>The name as it is written on a command line: "q8_0", or "k=q8_0,v=q4_0".</summary>
    public override string ToString() => Keys == Values ? Name(Keys) : $"k={Name(Keys)},v={Name(Values)}";

    /// <summary>Names of all formats.</summary>
    public static IEnumerable<string> Names => Enum.GetValues<KvFormat>().Select(Name);

    private static string Name(KvFormat format) => format.ToString().ToLowerInvariant();

    private static bool TryFormat(string text, out KvFormat format)
    {
        var name = text.Trim().ToUpperInvariant();
        format = name is "FP8_E4M3" ? KvFormat.FP8 : default;
        if (name is "FP8_E4M3") return true;
        foreach (var known in Enum.GetValues<KvFormat>())
            if (name == known.ToString())
            {
                format = known;
                return true;
            }

        return false;
    }

    private static int Bits(KvFormat format) => format switch { KvFormat.F32 => 32, KvFormat.F16 or KvFormat.BF16 => 16, KvFormat.Q4_0 => 4, _ => 8 };
}

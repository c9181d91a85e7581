namespace Kvasir.Planning.Engines;

/// <summary>Sizes of Kvasir's own engine, which a test of the engine holds to what it reserves.</summary>
internal static class KvasirConstants
{
    public const int BlockTokens = 16, LogitRows = 32, ChunkTokens = 512, MaxSequences = 16;
    public const int GroupRows = 16, Line = 64;
    /// <summary>Bytes of 32 activations in 8 bits with their scale.</summary>
    public const int RecordBytes = 48;
    /// <summary>What finding, sharing and evicting a block takes beside its keys and values.</summary>
    public const int IndexBytesPerBlock = 643;
    /// <summary>What the .NET runtime, code and short-lived objects take beside the ledger.</summary>
    public const long RuntimeBytes = 200L << 20;

    /// <summary>The packed form of each type: bits per code, and of 16 rows the columns and bytes of a unit of scales.</summary>
    private static readonly Dictionary<string, (int Bits, int UnitColumns, int UnitBytes)> Forms = new(StringComparer.Ordinal)
    {
        ["Q4_0"] = (4, 32, 32), ["Q4_1"] = (4, 32, 64), ["Q5_0"] = (5, 32, 32), ["Q5_1"] = (5, 32, 64), ["Q8_0"] = (8, 32, 32),
        ["Q2_K"] = (2, 256, 320), ["Q3_K"] = (3, 256, 288), ["Q4_K"] = (4, 256, 256), ["Q5_K"] = (5, 256, 256), ["Q6_K"] = (6, 256, 288),
        ["IQ4_NL"] = (4, 32, 32), ["IQ4_XS"] = (4, 256, 160), ["MXFP4"] = (4, 32, 16),
    };

    /// <summary>Whether the engine computes with the type.</summary>
    public static bool Knows(string type) => type is "F32" or "F16" or "BF16" || Forms.ContainsKey(type);

    /// <summary>Bytes of a matrix packed for the kernels: rows in groups of 16, scales before codes.</summary>
    public static long PackedBytes(string type, long rows, long columns)
    {
        var group = type switch
        {
            "F32" => Lines(columns * GroupRows * 4),
            "F16" => Lines(columns * GroupRows * 2),
            "BF16" => Lines((columns + 1) / 2 * 2 * GroupRows * 2),
            _ when Forms.TryGetValue(type, out var form) => Lines(columns / form.UnitColumns * form.UnitBytes) + (columns / 32 * Line * form.Bits),
            _ => throw new ArgumentException($"Kvasir's engine has no kernel for {type}."),
        };
        return Lines((rows + GroupRows - 1) / GroupRows * group);
    }

    /// <summary>Rounded up to a multiple.</summary>
    public static long Whole(long count, int multiple) => (count + multiple - 1) / multiple * multiple;

    /// <summary>Rounded up to cache lines.</summary>
    public static long Lines(long bytes) => (bytes + Line - 1) / Line * Line;

    /// <summary>Rounded up to an odd number of cache lines, which spreads rows over the cache's sets.</summary>
    public static long OddLines(long bytes) => ((bytes + Line - 1) / Line | 1) * Line;
}

using System.Globalization;
using System.Text;

namespace Kvasir.Checkpoints.Tokenizers.Splitting;

/// <summary>
/// General categories and White_Space of code points as of Unicode 15.1, the version that the tokenizers in the field were made with.
/// The runtime knows a later version; what it has added since is reported as unassigned.
/// </summary>
internal static class UnicodeTable
{
    /// <summary>Set in <see cref="Entry"/> when the code point is white space (\s).</summary>
    public const byte SpaceBit = 0x80;

    private const int PageBits = 8;
    private static readonly byte[]?[] Pages = new byte[]?[0x110000 >> PageBits];

    // First and last code points that Unicode 16.0 assigned (DerivedAge.txt).
    private static readonly int[] AddedLater =
    [
        0x897, 0x897, 0x1B4E, 0x1B4F, 0x1B7F, 0x1B7F, 0x1C89, 0x1C8A, 0x2427, 0x2429, 0x31E4, 0x31E5, 0xA7CB, 0xA7CD, 0xA7DA, 0xA7DC,
        0x105C0, 0x105F3, 0x10D40, 0x10D65, 0x10D69, 0x10D85, 0x10D8E, 0x10D8F, 0x10EC2, 0x10EC4, 0x10EFC, 0x10EFC, 0x11380, 0x11389,
        0x1138B, 0x1138B, 0x1138E, 0x1138E, 0x11390, 0x113B5, 0x113B7, 0x113C0, 0x113C2, 0x113C2, 0x113C5, 0x113C5, 0x113C7, 0x113CA,
        0x113CC, 0x113D5, 0x113D7, 0x113D8, 0x113E1, 0x113E2, 0x116D0, 0x116E3, 0x11BC0, 0x11BE1, 0x11BF0, 0x11BF9, 0x11F5A, 0x11F5A,
        0x13460, 0x143FA, 0x16100, 0x16139, 0x16D40, 0x16D79, 0x18CFF, 0x18CFF, 0x1CC00, 0x1CCF9, 0x1CD00, 0x1CEB3, 0x1E5D0, 0x1E5FA,
        0x1E5FF, 0x1E5FF, 0x1F8B2, 0x1F8BB, 0x1F8C0, 0x1F8C1, 0x1FA89, 0x1FA89, 0x1FA8F, 0x1FA8F, 0x1FABE, 0x1FABE, 0x1FAC6, 0x1FAC6,
        0x1FADC, 0x1FADC, 0x1FADF, 0x1FADF, 0x1FAE9, 0x1FAE9, 0x1FBCB, 0x1FBEF,
    ];

    /// <summary>The category (a <see cref="UnicodeCategory"/>) with <see cref="SpaceBit"/>.</summary>
    public static byte Entry(int codePoint) => (Pages[codePoint >> PageBits] ?? Fill(codePoint >> PageBits))[codePoint & 0xFF];

    /// <summary>Whether the code point is in a category of <paramref name="mask"/> (see <see cref="CategoryMask"/>).</summary>
    public static bool IsIn(int codePoint, uint mask) => (mask >> (Entry(codePoint) & 31) & 1) != 0;

    /// <summary>Whether the code point is white space.</summary>
    public static bool IsSpace(int codePoint) => (Entry(codePoint) & SpaceBit) != 0;

    /// <summary>Simple lower case as of Unicode 15.1; U+0130 gives <paramref name="dottedI"/>.</summary>
    public static int ToLower(int codePoint, int dottedI = 0x130)
    {
        if (codePoint < 0x80)
            return codePoint is >= 'A' and <= 'Z' ? codePoint + 32 : codePoint;
        if (codePoint == 0x130)
            return dottedI;
        return IsLater(codePoint) || !Rune.IsValid(codePoint) ? codePoint : Rune.ToLowerInvariant(new Rune(codePoint)).Value;
    }

    private static byte[] Fill(int page)
    {
        var entries = new byte[1 << PageBits];
        for (int i = 0; i < entries.Length; i++)
        {
            int codePoint = page << PageBits | i;
            var category = IsLater(codePoint) ? UnicodeCategory.OtherNotAssigned : CharUnicodeInfo.GetUnicodeCategory(codePoint);
            bool space = codePoint <= 0xFFFF && char.IsWhiteSpace((char)codePoint);
            entries[i] = (byte)((int)category | (space ? SpaceBit : 0));
        }
        return Pages[page] = entries;
    }

    private static bool IsLater(int codePoint)
    {
        for (int i = 0; i < AddedLater.Length && AddedLater[i] <= codePoint; i += 2)
            if (codePoint <= AddedLater[i + 1])
                return true;
        return false;
    }
}

/// <summary>Sets of general categories as bits: bit <c>n</c> is the <see cref="UnicodeCategory"/> of value <c>n</c>.</summary>
internal static class CategoryMask
{
    public const uint Letter = 0b1_1111;
    public const uint Mark = 0b111 << 5;
    public const uint Number = 0b111 << 8;
    public const uint Separator = 0b111 << 11;
    public const uint Control = 1u << 14;
    public const uint Other = 0b1111u << 14 | 1u << 29;
    public const uint Punctuation = 0b111_1111u << 18;
    public const uint Symbol = 0b1111u << 25;
    public const uint Unassigned = 1u << 29;

    /// <summary>The mask of a property name such as <c>L</c> or <c>Lu</c>; null when it names no general category.</summary>
    public static uint? Parse(string name) => name switch
    {
        "L" or "Letter" => Letter,
        "Lu" => 1u << 0,
        "Ll" => 1u << 1,
        "Lt" => 1u << 2,
        "Lm" => 1u << 3,
        "Lo" => 1u << 4,
        "M" or "Mark" => Mark,
        "Mn" => 1u << 5,
        "Mc" => 1u << 6,
        "Me" => 1u << 7,
        "N" or "Number" => Number,
        "Nd" => 1u << 8,
        "Nl" => 1u << 9,
        "No" => 1u << 10,
        "Z" or "Separator" => Separator,
        "Zs" => 1u << 11,
        "Zl" => 1u << 12,
        "Zp" => 1u << 13,
        "C" or "Other" => Other,
        "Cc" => 1u << 14,
        "Cf" => 1u << 15,
        "Cs" => 1u << 16,
        "Co" => 1u << 17,
        "Cn" => Unassigned,
        "P" or "Punct" or "Punctuation" => Punctuation,
        "Pc" => 1u << 18,
        "Pd" => 1u << 19,
        "Ps" => 1u << 20,
        "Pe" => 1u << 21,
        "Pi" => 1u << 22,
        "Pf" => 1u << 23,
        "Po" => 1u << 24,
        "S" or "Symbol" => Symbol,
        "Sm" => 1u << 25,
        "Sc" => 1u << 26,
        "Sk" => 1u << 27,
        "So" => 1u << 28,
        _ => null,
    };
}

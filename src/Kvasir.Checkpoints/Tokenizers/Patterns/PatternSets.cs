using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers.Patterns;

/// <summary>Named sets of characters in patterns.</summary>
internal static class PatternSets
{
    /// <summary>\w: letters, marks, numbers, connectors.</summary>
    public static CodePointSet Word { get; } = new CodePointSet().AddCategories(CategoryMask.Letter | CategoryMask.Mark | CategoryMask.Number | CategoryMask.Parse("Pc")!.Value);

    /// <summary>The set of a backslash letter (<c>\s</c>, <c>\D</c> …); null when it names none.</summary>
    public static CodePointSet? Shorthand(char letter) => letter switch
    {
        's' => new CodePointSet().AddSpaces(),
        'S' => new CodePointSet().AddSpaces(negated: true),
        'd' => new CodePointSet().AddCategories(CategoryMask.Parse("Nd")!.Value),
        'D' => new CodePointSet().AddCategories(CategoryMask.Parse("Nd")!.Value, negated: true),
        'w' => Word,
        'W' => new CodePointSet().AddSet(Word, negated: true),
        'h' => new CodePointSet().Add('0', '9').Add('a', 'f').Add('A', 'F'),
        _ => null,
    };

    /// <summary>The set of a property (<c>\p{L}</c>, <c>\p{Han}</c> …); null when it is not known.</summary>
    public static CodePointSet? Property(string name)
    {
        if (CategoryMask.Parse(name) is { } mask)
            return new CodePointSet().AddCategories(mask);
        if (name is "White_Space" or "Space" or "space")
            return new CodePointSet().AddSpaces();
        int[]? ranges = Script(name.StartsWith("Script=", StringComparison.Ordinal) ? name["Script=".Length..] : name.StartsWith("sc=", StringComparison.Ordinal) ? name[3..] : name);
        if (ranges is null)
            return null;
        var set = new CodePointSet();
        for (int i = 0; i < ranges.Length; i += 2)
            set.Add(ranges[i], ranges[i + 1]);
        return set;
    }

    // First and last code points (Scripts.txt, blocks of the scripts that tokenizers name).
    private static int[]? Script(string name) => name switch
    {
        "Han" => [0x2E80, 0x2E99, 0x2E9B, 0x2EF3, 0x2F00, 0x2FD5, 0x3005, 0x3005, 0x3007, 0x3007, 0x3021, 0x3029, 0x3038, 0x303B,
            0x3400, 0x4DBF, 0x4E00, 0x9FFF, 0xF900, 0xFA6D, 0xFA70, 0xFAD9, 0x16FE2, 0x16FE3, 0x16FF0, 0x16FF1, 0x20000, 0x2A6DF,
            0x2A700, 0x2B739, 0x2B740, 0x2B81D, 0x2B820, 0x2CEA1, 0x2CEB0, 0x2EBE0, 0x2EBF0, 0x2EE5D, 0x2F800, 0x2FA1D, 0x30000, 0x3134A, 0x31350, 0x323AF],
        "Hiragana" => [0x3041, 0x3096, 0x309D, 0x309F, 0x1B001, 0x1B11F, 0x1B132, 0x1B132, 0x1B150, 0x1B152, 0x1F200, 0x1F200],
        "Katakana" => [0x30A1, 0x30FA, 0x30FD, 0x30FF, 0x31F0, 0x31FF, 0x32D0, 0x32FE, 0x3300, 0x3357, 0xFF66, 0xFF6F, 0xFF71, 0xFF9D,
            0x1AFF0, 0x1AFF3, 0x1AFF5, 0x1AFFB, 0x1AFFD, 0x1AFFE, 0x1B000, 0x1B000, 0x1B120, 0x1B122, 0x1B155, 0x1B155, 0x1B164, 0x1B167],
        "Hangul" => [0x1100, 0x11FF, 0x302E, 0x302F, 0x3131, 0x318E, 0x3200, 0x321E, 0x3260, 0x327E, 0xA960, 0xA97C, 0xAC00, 0xD7A3,
            0xD7B0, 0xD7C6, 0xD7CB, 0xD7FB, 0xFFA0, 0xFFBE, 0xFFC2, 0xFFC7, 0xFFCA, 0xFFCF, 0xFFD2, 0xFFD7, 0xFFDA, 0xFFDC],
        "Thai" => [0x0E01, 0x0E3A, 0x0E40, 0x0E5B],
        _ => null,
    };
}

namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>Tokens for single bytes, spelled <c>&lt;0x0A&gt;</c>.</summary>
internal static class ByteFallback
{
    /// <summary>The spelling of a byte.</summary>
    public static string Spelling(int value) => $"<0x{value:X2}>";

    /// <summary>Tokens by byte; -1 where the vocabulary has none.</summary>
    public static int[] Tokens(Vocabulary vocabulary)
    {
        var tokens = new int[256];
        for (int value = 0; value < 256; value++)
            tokens[value] = vocabulary.Find(Spelling(value));
        return tokens;
    }

    /// <summary>The byte that a text spells; -1 when it spells none.</summary>
    public static int Parse(string text) =>
        text.Length == 6 && text.StartsWith("<0x", StringComparison.Ordinal) && text[5] == '>'
        && byte.TryParse(text.AsSpan(3, 2), System.Globalization.NumberStyles.AllowHexSpecifier, null, out byte value)
            ? value
            : -1;
}

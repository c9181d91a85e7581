using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers.Patterns;

/// <summary>A set of code points: what a character class of a pattern matches.</summary>
internal sealed class CodePointSet
{
    private readonly List<Term> _terms = [];
    private bool[]? _ascii;

    private readonly record struct Term(int First, int Last, uint Categories, bool Spaces, CodePointSet? Set, bool Negated)
    {
        public bool Contains(int codePoint) => Negated != (
            Set is not null ? Set.Contains(codePoint)
            : Spaces ? UnicodeTable.IsSpace(codePoint)
            : Categories != 0 ? UnicodeTable.IsIn(codePoint, Categories)
            : codePoint >= First && codePoint <= Last);
    }

    /// <summary>Whether the set is everything but its terms.</summary>
    public bool Negated { get; set; }

    /// <summary>Only what is in this set too; null: no such bound.</summary>
    public CodePointSet? And { get; set; }

    /// <summary>Whether letters match whatever their case.</summary>
    public bool IgnoresCase { get; init; }

    public static CodePointSet Any() => new() { Negated = true };

    /// <summary>Adds a range.</summary>
    public CodePointSet Add(int first, int last)
    {
        _terms.Add(new Term(first, last, 0, false, null, false));
        return this;
    }

    /// <summary>Adds general categories, or all but them.</summary>
    public CodePointSet AddCategories(uint mask, bool negated = false)
    {
        _terms.Add(new Term(0, 0, mask, false, null, negated));
        return this;
    }

    /// <summary>Adds white space, or all but it.</summary>
    public CodePointSet AddSpaces(bool negated = false)
    {
        _terms.Add(new Term(0, 0, 0, true, null, negated));
        return this;
    }

    /// <summary>Adds another set, or all but it.</summary>
    public CodePointSet AddSet(CodePointSet set, bool negated = false)
    {
        _terms.Add(new Term(0, 0, 0, false, set, negated));
        return this;
    }

    /// <summary>Whether the code point is in the set.</summary>
    public bool Contains(int codePoint)
    {
        if (codePoint < 128)
            return (_ascii ??= MakeAscii())[codePoint];
        return Evaluate(codePoint);
    }

    private bool[] MakeAscii()
    {
        var ascii = new bool[128];
        for (int c = 0; c < 128; c++)
            ascii[c] = Evaluate(c);
        return ascii;
    }

    private bool Evaluate(int codePoint)
    {
        bool found = HasTerm(codePoint);
        if (IgnoresCase && !found)
            found = CaseFolding.Variants(codePoint).Any(HasTerm);
        return found != Negated && (And is null || And.Contains(codePoint));
    }

    private bool HasTerm(int codePoint)
    {
        foreach (var term in _terms)
            if (term.Contains(codePoint))
                return true;
        return false;
    }
}

/// <summary>Letters that differ by case alone.</summary>
internal static class CaseFolding
{
    /// <summary>The other cases of a letter, with the two characters outside ASCII that fold into it.</summary>
    public static IEnumerable<int> Variants(int codePoint)
    {
        if (!System.Text.Rune.IsValid(codePoint))
            yield break;
        int lower = codePoint switch { 0x17F => 's', 0x212A => 'k', _ => UnicodeTable.ToLower(codePoint) };
        yield return lower;
        yield return System.Text.Rune.ToUpperInvariant(new System.Text.Rune(lower)).Value;
        if (lower == 's')
            yield return 0x17F;
        if (lower == 'k')
            yield return 0x212A;
    }
}

using System.Globalization;

namespace Kvasir.Checkpoints.Tokenizers.Normalization;

/// <summary>
/// Decompositions, combining classes and compositions of Unicode 15.1. The runtime has none of its own in invariant globalization mode,
/// and tokenizers must not change with the machine.
/// </summary>
internal sealed class Decompositions
{
    private const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7;
    private const int VowelCount = 21, TailCount = 28, HangulCount = 19 * VowelCount * TailCount;

    private static readonly Lazy<Decompositions> Loaded = new(() => new Decompositions());

    private readonly Dictionary<int, byte> _classes = [];
    private readonly Dictionary<int, int[]> _canonical = [];
    private readonly Dictionary<int, int[]> _compatible = [];
    private readonly Dictionary<(int, int), int> _compositions = [];

    private Decompositions()
    {
        using var stream = typeof(Decompositions).Assembly.GetManifestResourceStream("UnicodeDecompositions.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            string[] fields = line.Split(';');
            Add(Hex(fields[0]), byte.Parse(fields[1]), fields[2]);
        }
    }

    /// <summary>The tables, read on first use.</summary>
    public static Decompositions Tables => Loaded.Value;

    /// <summary>The canonical combining class; 0 for a starter.</summary>
    public int CombiningClass(int codePoint) => _classes.GetValueOrDefault(codePoint);

    /// <summary>Appends the full decomposition.</summary>
    public void Decompose(int codePoint, bool compatible, List<int> output)
    {
        if ((uint)(codePoint - HangulBase) < HangulCount)
        {
            int index = codePoint - HangulBase;
            output.Add(LeadBase + index / (VowelCount * TailCount));
            output.Add(VowelBase + index / TailCount % VowelCount);
            if (index % TailCount != 0)
                output.Add(TailBase + index % TailCount);
        }
        else if (_canonical.TryGetValue(codePoint, out int[]? parts) || (compatible && _compatible.TryGetValue(codePoint, out parts)))
        {
            foreach (int part in parts)
                Decompose(part, compatible, output);
        }
        else
        {
            output.Add(codePoint);
        }
    }

    /// <summary>What two code points compose into; -1 when nothing.</summary>
    public int Compose(int first, int second)
    {
        if ((uint)(first - LeadBase) < 19 && (uint)(second - VowelBase) < VowelCount)
            return HangulBase + ((first - LeadBase) * VowelCount + second - VowelBase) * TailCount;
        if ((uint)(first - HangulBase) < HangulCount && (first - HangulBase) % TailCount == 0 && second > TailBase && second < TailBase + TailCount)
            return first + second - TailBase;
        return _compositions.GetValueOrDefault((first, second), -1);
    }

    private void Add(int codePoint, byte combiningClass, string decomposition)
    {
        if (combiningClass != 0)
            _classes.Add(codePoint, combiningClass);
        if (decomposition.Length == 0)
            return;
        int[] parts = [.. decomposition.TrimStart('<', '>', '!').Split(' ').Select(Hex)];
        (decomposition[0] == '<' ? _compatible : _canonical).Add(codePoint, parts);
        if (char.IsAsciiHexDigit(decomposition[0]) && parts.Length == 2)
            _compositions.Add((parts[0], parts[1]), codePoint);
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier);
}

namespace Kvasir.DemoModel.Vocabulary;

internal sealed partial class BytePairVocabulary
{
    /// <summary>GPT-2's alphabet: printable bytes stand for themselves and come first, the others become U+0100 and on.</summary>
    private static readonly int[] ByteOrder = [.. Enumerable.Range(0, 256).Where(IsPrintable), .. Enumerable.Range(0, 256).Where(b => !IsPrintable(b))];

    private static readonly char[] Printable = MakePrintable();

    internal static readonly int[] IdOfByte = MakeIds();

    private static bool IsPrintable(int b) => b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);

    private static char[] MakePrintable()
    {
        var printable = new char[256];
        int next = 256;
        foreach (int b in ByteOrder)
            printable[b] = IsPrintable(b) ? (char)b : (char)next++;
        return printable;
    }

    private static int[] MakeIds()
    {
        var ids = new int[256];
        for (int i = 0; i < 256; i++)
            ids[ByteOrder[i]] = i;
        return ids;
    }
}

namespace Kvasir.DemoModel.Vocabulary;

internal sealed partial class BytePairVocabulary
{
    /// <summary>
    /// The demo model's own, from merges.txt. It was learned once from the text and is kept, so that the text may grow
    /// while a trained network still knows its ids.
    /// </summary>
    public static BytePairVocabulary Load()
    {
        var ids = new Dictionary<string, int>();
        for (int i = 0; i < 256; i++)
            ids.Add(Printable[ByteOrder[i]].ToString(), i);
        var merges = new List<(int, int)>();
        using var input = new StreamReader(typeof(BytePairVocabulary).Assembly.GetManifestResourceStream("merges.txt")!);
        while (input.ReadLine() is { } line)
        {
            string[] pair = line.Split(' ');
            ids.Add(pair[0] + pair[1], 256 + merges.Count);
            merges.Add((ids[pair[0]], ids[pair[1]]));
        }
        return new(merges);
    }

    /// <summary>The merges as merges.txt, tokenizer.json and GGUF write them: "Ġ t".</summary>
    public IEnumerable<string> SpellMerges() => Merges.Select(merge => $"{Spell(merge.Left)} {Spell(merge.Right)}");
}

using System.Text;
using System.Text.RegularExpressions;

namespace Kvasir.DemoModel.Vocabulary;

/// <summary>Learns merges from text: the most frequent pair of neighbours, again and again.</summary>
internal static class BytePairTrainer
{
    public static BytePairVocabulary Train(IEnumerable<string> texts, int size)
    {
        List<(List<int> Ids, int Count)> words = CountWords(texts);
        var merges = new List<(int, int)>();
        while (merges.Count < size - 256 - 3)
        {
            (int Left, int Right) pair = MostFrequentPair(words);
            int merged = 256 + merges.Count;
            merges.Add(pair);
            foreach ((List<int> ids, _) in words)
                Replace(ids, pair, merged);
        }
        return new(merges);
    }

    private static List<(List<int>, int)> CountWords(IEnumerable<string> texts)
    {
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (string text in texts)
        {
            foreach (Match match in BytePairVocabulary.PatternRegex().Matches(text))
                counts[match.Value] = counts.GetValueOrDefault(match.Value) + 1;
        }
        return [.. counts.Select(word => (Encoding.UTF8.GetBytes(word.Key).Select(b => BytePairVocabulary.IdOfByte[b]).ToList(), word.Value))];
    }

    private static (int, int) MostFrequentPair(List<(List<int> Ids, int Count)> words)
    {
        var counts = new Dictionary<(int, int), long>();
        foreach ((List<int> ids, int count) in words)
        {
            for (int i = 0; i + 1 < ids.Count; i++)
                counts[(ids[i], ids[i + 1])] = counts.GetValueOrDefault((ids[i], ids[i + 1])) + count;
        }
        // Ties go to the smaller ids, so that the vocabulary does not depend on the order of a hash table.
        return counts.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key).First().Key;
    }

    private static void Replace(List<int> ids, (int Left, int Right) pair, int merged)
    {
        for (int i = 0; i + 1 < ids.Count; i++)
        {
            if (ids[i] != pair.Left || ids[i + 1] != pair.Right)
                continue;
            ids[i] = merged;
            ids.RemoveAt(i + 1);
        }
    }
}

using Kvasir.DemoModel.Network;
using Kvasir.DemoModel.Text;
using Kvasir.DemoModel.Vocabulary;
using TorchSharp;
using static TorchSharp.torch;

namespace Kvasir.DemoModel.Training;

/// <summary>Endless batches of conversations of like length; the n-th pool depends on the seed and n alone.</summary>
internal sealed class Batches(BytePairVocabulary vocabulary, int seed, int tokens)
{
    private const int BatchesPerPool = 32;

    /// <summary>The batch of a step, so that a run taken up again goes on where it was.</summary>
    public IEnumerable<Batch> From(int step)
    {
        for (int pool = step / BatchesPerPool; ; pool++)
        {
            List<Batch> batches = Pool(pool);
            foreach (Batch batch in batches.Skip(pool == step / BatchesPerPool ? step % BatchesPerPool : 0))
                yield return batch;
        }
    }

    private List<Batch> Pool(int number)
    {
        var random = new Random(seed + number * 7919);
        var sequences = new List<(List<int> Ids, List<bool> Learned)>();
        for (int total = 0; total < tokens * BatchesPerPool;)
        {
            (List<int> Ids, List<bool> Learned) sequence = ChatText.Encode(vocabulary, Author.Write(random));
            if (sequence.Ids.Count > Shape.Context)
                continue;
            sequences.Add(sequence);
            total += sequence.Ids.Count;
        }
        sequences.Sort((a, b) => a.Ids.Count.CompareTo(b.Ids.Count));
        Batch[] batches = [.. Cut(sequences)];
        random.Shuffle(batches);
        return [.. batches];
    }

    /// <summary>Equal shares of the tokens, whatever the length of a sequence.</summary>
    private static IEnumerable<Batch> Cut(List<(List<int> Ids, List<bool> Learned)> sequences)
    {
        long all = sequences.Sum(sequence => (long)sequence.Ids.Count), sum = 0;
        int start = 0, cut = 1;
        for (int i = 0; i < sequences.Count; i++)
        {
            sum += sequences[i].Ids.Count;
            if (sum * BatchesPerPool < all * cut && i + 1 < sequences.Count)
                continue;
            yield return new(sequences[start..(i + 1)]);
            (start, cut) = (i + 1, cut + 1);
        }
    }
}

/// <summary>Sequences padded on the right to one length, and what is learned of them.</summary>
internal sealed class Batch(List<(List<int> Ids, List<bool> Learned)> sequences)
{
    public (Tensor Ids, Tensor Positions, Tensor Targets, int Tokens) ToTensors()
    {
        int length = sequences.Max(sequence => sequence.Ids.Count) - 1;
        var ids = new long[sequences.Count * length];
        var positions = new List<long>();
        var targets = new List<long>();
        for (int s = 0; s < sequences.Count; s++)
        {
            (List<int> tokens, List<bool> learned) = sequences[s];
            for (int t = 0; t + 1 < tokens.Count; t++)
            {
                ids[s * length + t] = tokens[t];
                if (!learned[t + 1])
                    continue;
                positions.Add(s * length + t);
                targets.Add(tokens[t + 1]);
            }
        }
        return (tensor(ids).reshape(sequences.Count, length), tensor(positions.ToArray()), tensor(targets.ToArray()), ids.Length);
    }
}

using System.Diagnostics;
using System.Text;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Benchmarks;

/// <summary><c>tokenizer --vocabulary F --file T</c>: how fast text becomes tokens on one core.</summary>
internal static class TokenizerBenchmark
{
    private const double BytesPerMegabyte = 1e6;

    private const int Rounds = 5;

    public static int Run(string vocabulary, string file)
    {
        var loading = Stopwatch.StartNew();
        var tokenizer = Tokenizer.Open(vocabulary);
        Console.WriteLine($"{tokenizer.Kind}, {tokenizer.VocabularySize} tokens, loaded in {loading.ElapsedMilliseconds} ms");
        string text = File.ReadAllText(file);
        int bytes = Encoding.UTF8.GetByteCount(text);
        var output = new List<int>(bytes / 3);
        double best = 0;
        for (int round = 0; round < Rounds; round++)
        {
            output.Clear();
            var watch = Stopwatch.StartNew();
            tokenizer.Encode(text, addSpecial: false, parseSpecial: false, output);
            double rate = bytes / BytesPerMegabyte / watch.Elapsed.TotalSeconds;
            best = Math.Max(best, rate);
            Console.WriteLine($"round {round + 1}: {rate:F1} MB/s, {output.Count} tokens");
        }
        Console.WriteLine($"best: {best:F1} MB/s of {bytes / BytesPerMegabyte:F1} MB");
        return 0;
    }
}

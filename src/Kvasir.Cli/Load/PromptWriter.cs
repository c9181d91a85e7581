using System.Text;

namespace Kvasir.Cli.Load;

/// <summary>Writes text of a given number of tokens: the same seed and tokenizer give the same text.</summary>
internal sealed class PromptWriter
{
    // Common English words: whatever the vocabulary, their number of tokens is that of ordinary text.
    private static readonly string[] Words =
    [
        .. ("time people year way day man thing woman life child world school state family student group country problem hand part place case week company system " +
        "program question work government number night point home water room mother area money story fact month lot right study book eye job word business issue " +
        "side kind head house service friend father power hour game line end member law car city community name president team minute idea body information back " +
        "parent face others level office door health person art war history party result change morning reason research girl guy moment air teacher force education " +
        "about above after again against along among around because before behind below between both could during each early either enough every few from have here " +
        "however into just large later less long make many might more most much must never next often only other over own perhaps rather same several should since " +
        "small some still such take than that their them then there these they this those though through together toward under until upon very want well what when " +
        "where which while whole whose will with within without would write yesterday yet young across bridge candle distance eleven forest garden harbour island " +
        "journey kitchen ladder market needle orange paper quiet river silver table umbrella valley window yellow zebra answer bright circle dozen engine feather").Split(' '),
    ];

    private const int MostAttempts = 10;
    private const double FirstTokensPerWord = 1.3;

    private readonly Func<string, CancellationToken, Task<int>>? count;
    private readonly int seed;
    private double tokensPerWord = FirstTokensPerWord;

    /// <param name="seed">What texts come from.</param>
    /// <param name="count">Counts a text's tokens; null to estimate.</param>
    public PromptWriter(int seed, Func<string, CancellationToken, Task<int>>? count) => (this.seed, this.count) = (seed, count);

    /// <summary>Whether sizes are estimates.</summary>
    public bool IsEstimate => count is null;

    /// <summary>Writes a text.</summary>
    /// <param name="tokens">Its length, met within half a percent or one word where a tokenizer is there.</param>
    /// <param name="stream">Texts of different streams differ from their first words on.</param>
    /// <param name="index">Number within the stream.</param>
    /// <param name="cancel">Stops it.</param>
    public async Task<string> WriteAsync(int tokens, int stream, int index, CancellationToken cancel)
    {
        if (tokens <= 0) return "";
        var random = new Random(unchecked((seed * 31 + stream) * 1_000_003 + index));
        var words = new List<string>();
        var length = Math.Max(1, (int)Math.Round(tokens / tokensPerWord));
        var (best, bestMiss) = ("", int.MaxValue);
        for (var attempt = 0; attempt < MostAttempts; attempt++)
        {
            while (words.Count < length) words.Add(Words[random.Next(Words.Length)]);
            var text = Sentences(words.Take(length));
            if (count is null) return text;
            var found = await count(text, cancel);
            var miss = found - tokens;
            if (Math.Abs(miss) < Math.Abs(bestMiss)) (best, bestMiss) = (text, miss);
            if (Math.Abs(miss) <= Math.Max(1, tokens / 200) || length == 1 && miss > 0) break;
            tokensPerWord = Math.Max(0.05, (double)found / length);
            var step = (int)Math.Round(-miss / tokensPerWord);
            length = Math.Max(1, length + (step == 0 ? -Math.Sign(miss) : step));
        }
        return best;
    }

    private static string Sentences(IEnumerable<string> words)
    {
        var text = new StringBuilder();
        var number = 0;
        foreach (var word in words)
        {
            if (number > 0) text.Append(number % 12 == 0 ? ".\n" : " ");
            text.Append(word);
            number++;
        }
        return text.Append('.').ToString();
    }
}

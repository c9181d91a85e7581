using System.Diagnostics;
using System.Text;
using Kvasir.Checkpoints.Tokenizers.HuggingFace;
using Kvasir.Checkpoints.Tokenizers.Patterns;
using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tests.Tokenizers;

public class SplittingTests
{
    private static readonly string[] Snippets =
    [
        "'s", "'S", "'LL", "'ve", "'ſ", "'", "\r\n", "\n\n", "  ", " \n ", "\t", "...", "!!", "/", "//\n", "1234567", "0x1F", "HelloWorld", "camelCaseXML", "éA", "Éa",
        "x²", "Ⅷ", "👨‍👩‍👧", "e\u0301", "\u0301\u0301a", "한국어", "नमस्ते", "你好，世界。", "日本語", "مرحبا", "\0", "\u0085", "\u00A0", "\u3000", "ǅ", "ʰ", "ª", "𝐀𝑏", "𞤀", " the quick", " x",
    ];

    public static TheoryData<string> KnownPublishedPatterns => [Gpt2Splitter.Pattern, KnownPatterns.Llama3, KnownPatterns.Qwen2, KnownPatterns.Gpt4o, KnownPatterns.Tekken];

    [Theory]
    [MemberData(nameof(KnownPublishedPatterns))]
    public void The_fast_form_of_a_published_pattern_cuts_as_the_pattern_does(string pattern)
    {
        var fast = PreTokenizers.Splitter(pattern);
        var plain = new PatternSplitter(pattern);
        Assert.IsNotType<PatternSplitter>(fast);
        var random = new Random(7);
        for (int round = 0; round < 4000; round++)
        {
            byte[] text = Encoding.UTF8.GetBytes(RandomText(random));
            Assert.True(Cuts(plain, text).SequenceEqual(Cuts(fast, text)), $"round {round}: {Encoding.UTF8.GetString(text)}");
        }
    }

    [Theory]
    [InlineData(@"a|ab", "ab", "a,b")]
    [InlineData(@"(?:ab|a)+c?", "ababac", "ababac")]
    [InlineData(@"a{2,3}", "aaaaa", "aaa,aa")]
    [InlineData(@"a+?b", "aab", "aab")]
    [InlineData(@"a++a|b", "aaab", "aaa,b")]
    [InlineData(@"(?<=a)b", "abb", "a,b,b")]
    [InlineData(@"(?<!a)b", "abb", "ab,b")]
    [InlineData(@"\bx", "ax x", "ax ,x")]
    [InlineData(@"[^\S\n]+", "a \n b", "a, ,\n, ,b")]
    [InlineData(@"[\p{L}&&[^\p{Han}]]+", "ab中c", "ab,中,c")]
    [InlineData(@"(?i:k)", "aKk", "a,K,k")]
    [InlineData(@"(?=(\d{3})+(?!\d))", "1234567", "1,234,567")]
    [InlineData(@"x$", "xax", "xa,x")]
    public void Patterns_match_as_regular_expressions_do(string pattern, string text, string pieces)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        Assert.Equal(pieces, string.Join(',', Cuts(new PatternSplitter(pattern), bytes)));
    }

    [Fact]
    public void A_pattern_of_exponential_cost_is_an_error_and_no_hang()
    {
        var pattern = new PatternSplitter("(a+)+b");
        var error = Assert.Throws<CheckpointException>(() => pattern.End(Encoding.UTF8.GetBytes(new string('a', 60)), 0));
        Assert.Contains("too many steps", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpt-2")]
    [InlineData("llama-spm")]
    public void Encoding_a_text_without_white_space_takes_time_in_proportion_to_it(string name)
    {
        var tokenizer = VocabularyVectors.Open(name);
        double small = Seconds(100_000), large = Seconds(1_600_000);
        // 16 times the text: 16 to 25 times the time where it is n log n, 256 times where it is quadratic, and a busy machine in between.
        Assert.True(large < 200 * small, $"{small:F4} s became {large:F4} s");

        double Seconds(int length)
        {
            var random = new Random(3);
            string text = string.Concat(Enumerable.Range(0, length).Select(_ => (char)('a' + random.Next(26))));
            double best = double.MaxValue;
            for (int round = 0; round < 3; round++)
            {
                var watch = Stopwatch.StartNew();
                tokenizer.Encode(text, addSpecial: false, parseSpecial: false);
                best = Math.Min(best, watch.Elapsed.TotalSeconds);
            }
            return best;
        }
    }

    [Fact]
    public void The_runtime_knows_the_characters_of_Unicode_15_as_they_were()
    {
        // Letters and marks of Unicode 15.1 with those that normalization forms know; a runtime that changes one fails here.
        int letters = 0, numbers = 0, marks = 0, unassigned = 0;
        for (int c = 0; c < 0x110000; c++)
        {
            letters += UnicodeTable.IsIn(c, CategoryMask.Letter) ? 1 : 0;
            numbers += UnicodeTable.IsIn(c, CategoryMask.Number) ? 1 : 0;
            marks += UnicodeTable.IsIn(c, CategoryMask.Mark) ? 1 : 0;
            unassigned += UnicodeTable.IsIn(c, CategoryMask.Unassigned) ? 1 : 0;
        }
        Assert.Equal((136726, 1831, 2450, 824718), (letters, numbers, marks, unassigned));
    }

    private static string RandomText(Random random)
    {
        var text = new StringBuilder();
        for (int i = random.Next(1, 12); i > 0; i--)
        {
            if (random.Next(2) == 0)
                text.Append(Snippets[random.Next(Snippets.Length)]);
            else
                text.Append(new Rune(random.Next(3) switch { 0 => random.Next(128), 1 => random.Next(0xD800), _ => random.Next(0xE000, 0x110000) }));
        }
        return text.ToString();
    }

    private static List<string> Cuts(WordSplitter splitter, byte[] text)
    {
        var pieces = new List<string>();
        for (int at = 0; at < text.Length;)
        {
            int end = splitter.End(text, at);
            pieces.Add(Encoding.UTF8.GetString(text, at, end - at));
            at = end;
        }
        return pieces;
    }
}

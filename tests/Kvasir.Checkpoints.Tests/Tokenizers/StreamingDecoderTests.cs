using System.Text;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Checkpoints.Tests.Tokenizers;

public class StreamingDecoderTests
{
    [Theory]
    [InlineData("gpt-2")]
    [InlineData("llama-spm")]
    [InlineData("phi-3")]
    [InlineData("bert-bge")]
    [InlineData("deepseek-coder")]
    public void Random_ids_stream_to_what_all_bytes_together_decode_to(string name)
    {
        var tokenizer = VocabularyVectors.Open(name);
        var random = new Random(20260704);
        for (int round = 0; round < 2000; round++)
        {
            bool keepSpecial = round % 2 == 0;
            int[] ids = [.. Enumerable.Range(0, random.Next(1, 30)).Select(_ => random.Next(4) == 0 ? random.Next(300) : random.Next(tokenizer.VocabularySize))];
            var decoder = tokenizer.CreateDecoder(keepSpecial);
            var streamed = new StringBuilder();
            foreach (int id in ids)
            {
                string part = decoder.Push(id);
                Assert.False(part.Length > 0 && char.IsHighSurrogate(part[^1]), "half a character");
                streamed.Append(part);
            }
            streamed.Append(decoder.Flush());
            byte[] bytes = [.. ids.Where(id => keepSpecial || !tokenizer.IsSpecial(id)).SelectMany(id => tokenizer.Bytes(id).ToArray())];
            string whole = Encoding.UTF8.GetString(bytes);
            string text = streamed.ToString();
            Assert.True(text == whole || " " + text == whole, $"round {round}: \"{text}\" against \"{whole}\"");
            Assert.Equal(text, tokenizer.Decode(ids, keepSpecial));
        }
    }

    [Theory]
    [InlineData("gpt-2")]
    [InlineData("llama-spm")]
    [InlineData("mpt")]
    [InlineData("phi-3")]
    [InlineData("deepseek-coder")]
    public void What_is_encoded_decodes_to_itself(string name)
    {
        var tokenizer = VocabularyVectors.Open(name);
        foreach (var (text, ids) in VocabularyVectors.Cases(name))
            Assert.Equal(text, tokenizer.Decode(ids));
    }

    [Fact]
    public void A_character_of_several_tokens_waits_until_it_is_whole()
    {
        var tokenizer = VocabularyVectors.Open("gpt-2");
        var ids = tokenizer.Encode("🦙", addSpecial: false, parseSpecial: false);
        Assert.True(ids.Count > 1);
        var decoder = tokenizer.CreateDecoder();
        string[] parts = [.. ids.Select(decoder.Push)];
        Assert.All(parts[..^1], part => Assert.Equal("", part));
        Assert.Equal("🦙", parts[^1]);
        Assert.Equal("", decoder.Flush());
        decoder.Push(ids[0]);
        Assert.Equal("\uFFFD", decoder.Flush());
    }

    [Fact]
    public void Special_tokens_are_hidden_unless_asked_for()
    {
        var tokenizer = VocabularyVectors.Open("gpt-2");
        int end = tokenizer.Find("<|endoftext|>")!.Value;
        Assert.True(tokenizer.IsSpecial(end));
        Assert.Contains(end, tokenizer.EndOfGeneration);
        Assert.Equal("", tokenizer.Decode([end]));
        Assert.Equal("<|endoftext|>", tokenizer.Decode([end], keepSpecial: true));
        Assert.Equal([end], tokenizer.Encode("<|endoftext|>", addSpecial: false, parseSpecial: true));
        Assert.DoesNotContain(end, tokenizer.Encode("<|endoftext|>", addSpecial: false, parseSpecial: false));
        Assert.Equal("", tokenizer.Decode([-1, int.MaxValue]));
    }
}

using System.Text;
using Kvasir.Checkpoints.Tokenizers;
using Kvasir.Checkpoints.Tokenizers.FromGguf;

namespace Kvasir.Checkpoints.Tests.Tokenizers;

public class GgufTokenizerTests
{
    [Theory]
    [InlineData("gpt2", "xxx-9", "xxx-9", "deepseek-coder, deepseek-llm")]
    [InlineData("rwkv", "", "rwkv", "unigram")]
    public void What_is_not_known_is_an_error_that_names_it_and_what_is_known(string model, string pre, string named, string known)
    {
        string path = Path.GetTempFileName();
        try
        {
            byte[] bytes = Vocabulary(model, pre);
            File.WriteAllBytes(path, bytes);
            var error = Assert.Throws<CheckpointException>(() => Tokenizer.Open(path));
            Assert.Contains(named, error.Message, StringComparison.Ordinal);
            Assert.Contains(known, error.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Every_pre_tokenizer_cuts_any_text_without_losing_a_byte()
    {
        byte[] text = Encoding.UTF8.GetBytes("Hello, wörld's 1234567 don't\r\n\n  中文テスト한국어 \u0301\u0085\u3000 éA XMLHttp x² <sentinel:1> 👩‍👧 नमस्ते   ");
        int names = 0;
        foreach (string name in PreTokenizer.Names)
        {
            names++;
            foreach (var splitter in PreTokenizer.Named(name)!.Splitters)
                for (int at = 0; at < text.Length;)
                {
                    int end = splitter.End(text, at);
                    Assert.InRange(end, at + 1, text.Length);
                    Assert.True(end == text.Length || (text[end] & 0xC0) != 0x80, $"{name} cuts a character in two at {end}");
                    at = end;
                }
        }
        Assert.True(names > 80, $"{names} names");
    }

    /// <summary>A GGUF file of a tokenizer of one token.</summary>
    private static byte[] Vocabulary(string model, string pre)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        void Text(string text)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            writer.Write((ulong)bytes.Length);
            writer.Write(bytes);
        }

        void Pair(string key, string value)
        {
            Text(key);
            writer.Write(8);
            Text(value);
        }

        writer.Write(0x46554747);
        writer.Write(3);
        writer.Write(0UL);
        writer.Write(3UL);
        Pair("tokenizer.ggml.model", model);
        Pair("tokenizer.ggml.pre", pre);
        Text("tokenizer.ggml.tokens");
        writer.Write(9);
        writer.Write(8);
        writer.Write(1UL);
        Text("a");
        writer.Flush();
        return stream.ToArray();
    }
}

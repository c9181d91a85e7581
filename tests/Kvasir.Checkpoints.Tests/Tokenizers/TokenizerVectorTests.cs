namespace Kvasir.Checkpoints.Tests.Tokenizers;

public class TokenizerVectorTests
{
    [Theory]
    [InlineData("bert-bge")]
    [InlineData("deepseek-coder")]
    [InlineData("gpt-2")]
    [InlineData("llama-spm")]
    [InlineData("mpt")]
    [InlineData("phi-3")]
    public void A_published_vocabulary_gives_exactly_the_published_ids(string name)
    {
        var tokenizer = VocabularyVectors.Open(name);
        foreach (var (text, ids) in VocabularyVectors.Cases(name))
            Assert.Equal(ids, tokenizer.Encode(text, addSpecial: false, parseSpecial: false));
    }
}

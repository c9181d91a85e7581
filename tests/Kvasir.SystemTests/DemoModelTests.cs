using Kvasir.Checkpoints;
using Kvasir.DemoModel.Evaluation;
using Kvasir.DemoModel.Text;
using Kvasir.Engine;
using Microsoft.Extensions.AI;

namespace Kvasir.SystemTests;

/// <summary>The model that comes with Kvasir, in both of its forms.</summary>
public sealed class DemoModelTests
{
    private const long MostBytes = 10_000_000;

    // Enough for every chat below, and little enough for a small machine.
    private static readonly KvasirOptions Small = new() { Engine = new EngineOptions { KvTokens = 8192, Threads = 2 } };

    private static readonly string Folder = Path.Combine(Repository.Root, "models", "demo");
    private static readonly string Gguf = Path.Combine(Folder, "kvasir-demo.gguf");
    private static readonly string HuggingFace = Path.Combine(Folder, "hf");

    [Fact]
    public void All_its_files_together_take_at_most_10_MB() =>
        Assert.InRange(Directory.EnumerateFiles(Folder, "*", SearchOption.AllDirectories).Sum(file => new FileInfo(file).Length), 1, MostBytes);

    [Fact]
    public void Both_forms_describe_the_same_model()
    {
        using var gguf = Checkpoint.Open(Gguf);
        using var huggingFace = Checkpoint.Open(HuggingFace);
        Assert.Equal(gguf.Spec.ParameterCount, huggingFace.Spec.ParameterCount);
        Assert.Equal(gguf.Spec.VocabularySize, huggingFace.Spec.VocabularySize);
        Assert.Equal(gguf.Spec.ContextLength, huggingFace.Spec.ContextLength);
        Assert.Equal(gguf.ChatTemplateSource, huggingFace.ChatTemplateSource);
        Assert.Equal(gguf.Defaults.EndTokens[0], huggingFace.Defaults.EndTokens[0]);
        Assert.Equal(gguf.Tokenizer.EndOfGeneration.Order(), huggingFace.Tokenizer.EndOfGeneration.Order());
    }

    [Fact]
    public void Both_tokenizers_give_the_same_ids_and_the_text_back()
    {
        using var gguf = Checkpoint.Open(Gguf);
        using var huggingFace = Checkpoint.Open(HuggingFace);
        var random = new Random(3);
        var texts = Enumerable.Range(0, 200).SelectMany(_ => Author.Write(random).Exchanges).SelectMany(exchange => new[] { exchange.Question, exchange.Answer })
            .Concat(["", " ", "\r\n\t  x", "naïve façade", "日本語 テキスト", "👩‍👩‍👧 emoji", "don't WE'LL", "12345.678", "\0\u001f", "<|im_start|>user\nHi<|im_end|>"]);
        foreach (string text in texts)
        {
            var ids = gguf.Tokenizer.Encode(text, addSpecial: true, parseSpecial: true);
            Assert.Equal(ids, huggingFace.Tokenizer.Encode(text, addSpecial: true, parseSpecial: true));
            var plain = gguf.Tokenizer.Encode(text, addSpecial: false, parseSpecial: false);
            Assert.Equal(text, gguf.Tokenizer.Decode([.. plain]));
        }
    }

    [Fact]
    public async Task Both_forms_give_the_same_answers()
    {
        var random = new Random(4);
        Conversation[] conversations = [.. Enumerable.Range(0, 24).Select(_ => Author.WriteHeldOut(random))];
        var fromGguf = await Examine(Gguf, conversations);
        var fromHuggingFace = await Examine(HuggingFace, conversations);
        Assert.Equal(fromGguf.Select(mark => mark.Answer), fromHuggingFace.Select(mark => mark.Answer));
    }

    [Fact]
    public async Task Four_in_five_answers_to_questions_that_training_never_saw_are_right()
    {
        var random = new Random(5);
        var marks = await Examine(Gguf, [.. Enumerable.Range(0, 120).Select(_ => Author.WriteHeldOut(random))]);
        var wrong = marks.Where(mark => !mark.IsRight).Select(mark => $"{mark.Exchange.Question} → {mark.Answer}").ToList();
        Assert.True(wrong.Count * 5 <= marks.Count, $"{wrong.Count} of {marks.Count} answers are wrong:\n{string.Join('\n', wrong)}");
    }

    [Fact]
    public async Task Simple_questions_are_answered_to_the_word()
    {
        await using var engine = await KvasirEngine.LoadAsync(Gguf, Small, cancel: TestContext.Current.CancellationToken);
        foreach (var (question, answer) in new[]
        {
            ("What is the KV cache?", "The KV cache holds the keys and values of all earlier tokens, so that they need not be computed again."),
            ("Does a 7B model in FP16 fit into 24 GB?", "7 × 2 = 14 GB. 14 is less than 24, so it fits."),
        })
        {
            var response = await engine.AsChatClient().GetResponseAsync(question, new ChatOptions { Temperature = 0 }, TestContext.Current.CancellationToken);
            Assert.Equal(answer, response.Text);
            Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        }
    }

    private static async Task<List<Mark>> Examine(string model, Conversation[] conversations)
    {
        await using var engine = await KvasirEngine.LoadAsync(model, Small, cancel: TestContext.Current.CancellationToken);
        return await new Examination(engine.AsChatClient()).RunAsync(conversations, TestContext.Current.CancellationToken);
    }
}

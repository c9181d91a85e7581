using System.CommandLine;
using System.Globalization;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir detokenize</c>: ids to text.</summary>
public static class DetokenizeCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = ModelArgument.Required();
        var ids = new Argument<string[]>("IDS") { Description = "Token ids; without them, stdin.", Arity = ArgumentArity.ZeroOrMore };
        var keep = new Option<bool>("--keep-special") { Description = "Print special tokens too." };
        var command = new KvasirCommand("detokenize", "Turn token ids into text.",
            "kvasir detokenize model.gguf 15496 11 995",
            "kvasir tokenize model.gguf \"Hello\" | kvasir detokenize model.gguf")
        {
            model, ids, keep,
        };
        command.SetAction((parse, cancel) => RunAsync(parse.GetRequiredValue(model), parse.GetValue(ids) ?? [], parse.GetValue(keep), cancel));
        return command;
    }

    private static async Task<int> RunAsync(string model, string[] words, bool keepSpecial, CancellationToken cancel)
    {
        var tokenizer = Tokenizer.Open(await LocalModel.ResolveAsync(model, cancel));
        if (words.Length == 0)
        {
            using var input = Input.OpenStandard();
            words = input.ReadToEnd().Split((char[])[' ', '\n', '\r', '\t', ',', '[', ']'], StringSplitOptions.RemoveEmptyEntries);
        }
        var ids = Array.ConvertAll(words, word => Parse(word, tokenizer.VocabularySize));
        using var output = Output.Open();
        output.WriteLine(tokenizer.Decode(ids, keepSpecial));
        return 0;
    }

    private static int Parse(string word, int vocabulary) =>
        int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id < vocabulary
            ? id
            : throw new UsageException($"'{word}' is not a token id from 0 to {vocabulary - 1}.");
}

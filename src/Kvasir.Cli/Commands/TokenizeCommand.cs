using System.CommandLine;
using System.Text;
using System.Text.Json;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir tokenize</c>: text to ids.</summary>
public static class TokenizeCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = ModelArgument.Required();
        var text = new Argument<string?>("TEXT") { Description = "The text; without it and without --file, stdin.", Arity = ArgumentArity.ZeroOrOne };
        var file = new Option<FileInfo?>("--file") { Description = "Read the text from a file (UTF-8).", HelpName = "F" };
        var lines = new Option<bool>("--jsonl") { Description = "Read one JSON string per line (stdin or --file), print one JSON array per line." };
        var addSpecial = new Option<bool>("--add-special") { Description = "Add the tokens that the model adds to every text (BOS, EOS)." };
        var parseSpecial = new Option<bool>("--parse-special") { Description = "Read special tokens written in the text, such as <|im_end|>, as the tokens they name." };
        var json = new Option<bool>("--json") { Description = "Print a JSON array." };
        var command = new KvasirCommand("tokenize", "Turn text into token ids, printed with spaces between them.",
            "kvasir tokenize model.gguf \"Hello, world\"",
            "kvasir tokenize model.gguf --file book.txt --add-special",
            "printf '\"one\"\\n\"two\"\\n' | kvasir tokenize model.gguf --jsonl")
        {
            model, text, file, lines, addSpecial, parseSpecial, json,
        };
        command.SetAction((parse, cancel) => RunAsync(new Options(
            parse.GetRequiredValue(model), parse.GetValue(text), parse.GetValue(file), parse.GetValue(lines),
            parse.GetValue(addSpecial), parse.GetValue(parseSpecial), parse.GetValue(json)), cancel));
        return command;
    }

    private static async Task<int> RunAsync(Options options, CancellationToken cancel)
    {
        if (options.Text is not null && (options.File is not null || options.Lines))
            throw new UsageException("TEXT was given together with --file or --jsonl; choose one.");
        var tokenizer = Tokenizer.Open(await LocalModel.ResolveAsync(options.Model, cancel));
        using var output = Output.Open();
        if (options.Lines)
        {
            TokenizeLines(tokenizer, options, output);
            return 0;
        }
        var ids = tokenizer.Encode(options.Text ?? ReadAll(options.File), options.AddSpecial, options.ParseSpecial);
        if (options.Json) WriteArray(output, ids);
        else output.WriteLine(string.Join(' ', ids));
        return 0;
    }

    private static void TokenizeLines(Tokenizer tokenizer, Options options, TextWriter output)
    {
        using var reader = options.File is { } file ? Input.OpenText(file) : Input.OpenStandard();
        var ids = new List<int>();
        for (var number = 1; reader.ReadLine() is { } line; number++)
        {
            if (line.Length == 0) continue;
            ids.Clear();
            tokenizer.Encode(ParseLine(line, number), options.AddSpecial, options.ParseSpecial, ids);
            WriteArray(output, ids);
        }
    }

    private static string ParseLine(string line, int number)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            if (document.RootElement.ValueKind == JsonValueKind.String) return document.RootElement.GetString()!;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // Said below, with the line's number.
        }
        throw new CommandException($"Line {number} is not a JSON string: {(line.Length <= 60 ? line : line[..60] + "…")}");
    }

    private static string ReadAll(FileInfo? file)
    {
        using var reader = file is not null ? Input.OpenText(file) : Input.OpenStandard();
        return reader.ReadToEnd();
    }

    private static void WriteArray(TextWriter output, List<int> ids)
    {
        var line = new StringBuilder("[").AppendJoin(", ", ids).Append(']');
        output.WriteLine(line);
    }

    private sealed record Options(string Model, string? Text, FileInfo? File, bool Lines, bool AddSpecial, bool ParseSpecial, bool Json);
}

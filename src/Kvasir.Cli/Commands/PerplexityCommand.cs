using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using Kvasir.Checkpoints;
using Kvasir.Engine;

namespace Kvasir.Cli.Commands;

/// <summary>
/// <c>kvasir perplexity</c>: how surprised a model is by a text, by llama.cpp's protocol: chunks of <c>--context</c>
/// tokens, BOS in place of each chunk's first token where the model has one, the second half of each chunk scored.
/// </summary>
public static class PerplexityCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = ModelArgument.Required();
        var file = new Option<string>("--file") { Description = "The text.", Required = true };
        var chunks = new Option<int?>("--chunks") { Description = "Chunks to score; without it, all." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var flags = new EngineFlags();
        var command = new KvasirCommand("perplexity", "Measure how well a model predicts a text (llama.cpp's protocol).",
            "kvasir perplexity model.gguf --file wiki.test.raw --context 512",
            "kvasir perplexity model.gguf --file text.txt --context 512 --chunks 8 --json")
        {
            model, file, chunks, json,
        };
        flags.AddTo(command);
        command.SetAction((parse, cancel) => RunAsync(parse.GetRequiredValue(model), parse.GetRequiredValue(file), parse.GetValue(chunks),
            flags.Read(parse), parse.GetValue(json), cancel));
        return command;
    }

    private static async Task<int> RunAsync(string model, string file, int? chunks, EngineOptions options, bool json, CancellationToken cancel)
    {
        var context = options.ContextTokens ?? 512;
        if (chunks is < 1) throw new UsageException($"--chunks is {chunks}, but must be at least 1.");
        using var checkpoint = Checkpoint.Open(await LocalModel.ResolveAsync(model, cancel));
        var tokenizer = checkpoint.Tokenizer;
        var tokens = tokenizer.Encode(await File.ReadAllTextAsync(file, cancel), addSpecial: true, parseSpecial: false);
        var count = Math.Min(chunks ?? int.MaxValue, tokens.Count / context);
        if (count == 0)
            throw new CommandException($"'{file}' has {tokens.Count} tokens, but a chunk needs {context}. Take a longer text, or a smaller --context.");
        await using var engine = LlmEngine.Create(checkpoint, options with { ContextTokens = context, KvTokens = context + 16, MaxSequences = 1 });
        if (engine.ContextTokens < context)
            throw new CommandException($"Memory holds a context of {engine.ContextTokens} tokens, but --context is {context}. Raise --memory.");
        var tally = new Tally();
        for (var chunk = 0; chunk < count; chunk++)
        {
            var part = tokens.GetRange(chunk * context, context);
            if (tokenizer.AddsBos && tokenizer.Bos is { } bos) part[0] = bos;
            await ScoreAsync(engine, [.. part], tally, cancel);
            if (!json) Console.Error.Write($"[{chunk + 1}]{tally.Perplexity:0.0000},{(chunk + 1 == count ? "\n" : "")}");
        }
        Console.WriteLine(json
            ? JsonSerializer.Serialize(new { perplexity = tally.Perplexity, error = tally.Error, chunks = count, scored_tokens = tally.Count, context })
            : $"PPL = {tally.Perplexity:0.0000} +/- {tally.Error:0.0000} over {tally.Count} tokens in {count} chunks of {context}");
        return 0;
    }

    private static async Task ScoreAsync(LlmEngine engine, ImmutableArray<int> chunk, Tally tally, CancellationToken cancel)
    {
        var stream = engine.Submit(new GenerationRequest { Prompt = chunk, MaxTokens = 0, PromptLogProbabilities = true });
        await foreach (var _ in stream.WithCancellation(cancel))
        {
            // Nothing is generated: the end of the stream says that the prompt is scored.
        }
        foreach (var value in stream.PromptLogProbabilities.Span[(chunk.Length / 2)..(chunk.Length - 1)]) tally.Add(-value);
    }

    /// <summary>Mean and standard error of the negative log-likelihood.</summary>
    private sealed class Tally
    {
        private double _sum, _squares;

        public long Count { get; private set; }

        public double Perplexity => Math.Exp(_sum / Count);

        /// <summary>Standard error of the perplexity, by the delta method.</summary>
        public double Error => Count < 2 ? 0 : Math.Sqrt(Math.Max(0, _squares / Count - _sum / Count * (_sum / Count)) / (Count - 1)) * Perplexity;

        public void Add(double negativeLogLikelihood)
        {
            _sum += negativeLogLikelihood;
            _squares += negativeLogLikelihood * negativeLogLikelihood;
            Count++;
        }
    }
}

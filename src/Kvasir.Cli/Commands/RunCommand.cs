using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using Kvasir.Checkpoints;
using Kvasir.Checkpoints.Tokenizers;
using Kvasir.Engine;
using Kvasir.Engine.Sampling;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir run</c>: continue a prompt and leave.</summary>
public static class RunCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = ModelArgument.Required();
        var prompt = new Argument<string>("PROMPT") { Description = "The text to continue." };
        var maxTokens = new Option<int>("--max-tokens") { Description = "Most tokens to generate.", DefaultValueFactory = _ => 128 };
        var temperature = new Option<float>("--temperature") { Description = "0 takes the most likely token, 1 the model's own distribution.", DefaultValueFactory = _ => 0.8f };
        var seed = new Option<ulong?>("--seed") { Description = "Same seed, same text." };
        var logProbabilities = new Option<bool>("--logprobs") { Description = "Print each token with its log-probability, a line each." };
        var json = new Option<bool>("--json") { Description = "Print JSON when done." };
        var flags = new EngineFlags();
        var command = new KvasirCommand("run", "Continue a prompt.",
            "kvasir run model.gguf \"The KV cache is\" --max-tokens 40",
            "kvasir run model.gguf \"2 GiB + 3 GiB =\" --temperature 0 --logprobs")
        {
            model, prompt, maxTokens, temperature, seed, logProbabilities, json,
        };
        flags.AddTo(command);
        command.SetAction((parse, cancel) =>
        {
            if (parse.GetValue(maxTokens) < 1) throw new UsageException($"--max-tokens {parse.GetValue(maxTokens)} is not at least 1.");
            if (parse.GetValue(temperature) is not (>= 0 and <= 2)) throw new UsageException($"--temperature {parse.GetValue(temperature)} is not between 0 and 2.");
            var sampling = new SamplingOptions { Temperature = parse.GetValue(temperature), Seed = parse.GetValue(seed) };
            var show = parse.GetValue(json) ? Show.Json : parse.GetValue(logProbabilities) ? Show.LogProbabilities : Show.Text;
            return RunAsync(parse.GetRequiredValue(model), parse.GetRequiredValue(prompt), parse.GetValue(maxTokens), sampling, show, flags.Read(parse), cancel);
        });
        return command;
    }

    private enum Show { Text, LogProbabilities, Json }

    private static async Task<int> RunAsync(string model, string prompt, int maxTokens, SamplingOptions sampling, Show show, EngineOptions options, CancellationToken cancel)
    {
        using var checkpoint = Checkpoint.Open(await LocalModel.ResolveAsync(model, cancel));
        var tokenizer = checkpoint.Tokenizer;
        var ids = tokenizer.Encode(prompt, addSpecial: true, parseSpecial: true);
        await using var engine = LlmEngine.Create(checkpoint, CanaryText.Fill(options with { MaxSequences = 1 }, tokenizer));
        await using var stream = engine.Submit(new GenerationRequest
        {
            Prompt = [.. ids], MaxTokens = maxTokens, Sampling = sampling, LogProbabilities = show != Show.Text,
            StopTokens = [.. tokenizer.EndOfGeneration],
        });
        using var output = Output.Open();
        if (show == Show.Text) output.Write(prompt);
        var text = tokenizer.CreateDecoder();
        var tokens = new List<GeneratedToken>();
        await foreach (var token in stream.WithCancellation(cancel))
        {
            tokens.Add(token);
            if (show == Show.Text) output.Write(text.Push(token.Token));
            if (show == Show.LogProbabilities) output.WriteLine($"{token.Token}\t{token.LogProbability:0.0000}\t{JsonSerializer.Serialize(tokenizer.Text(token.Token))}");
            await output.FlushAsync(cancel);
        }
        if (show == Show.Text) output.WriteLine(text.Flush());
        if (show == Show.Json) output.WriteLine(Json(tokenizer, tokens, stream));
        return 0;
    }

    private static string Json(Tokenizer tokenizer, List<GeneratedToken> tokens, GenerationStream stream) => JsonSerializer.Serialize(new
    {
        text = tokenizer.Decode(tokens.Select(token => token.Token).ToArray()),
        finish_reason = stream.FinishReason == FinishReason.Stop ? "stop" : "length",
        tokens = tokens.Select(token => new { id = token.Token, logprob = token.LogProbability }),
        usage = new { prompt_tokens = stream.Usage.PromptTokens, completion_tokens = stream.Usage.GeneratedTokens },
    });
}

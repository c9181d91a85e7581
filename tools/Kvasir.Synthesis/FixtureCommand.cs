using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>fixtures: writes the tiny models of the engine's tests and has llama.cpp compute their logits.</summary>
internal static class FixtureCommand
{
    private sealed record Printed([property: JsonPropertyName("logits")] float[][] Logits, [property: JsonPropertyName("continuation")] int[] Continuation, [property: JsonPropertyName("margin")] float Margin);

    public static Command Create()
    {
        var logits = new Option<string>("--logits") { Description = "the program built of Fixtures/logits.cpp", Required = true };
        var quantize = new Option<string>("--quantize") { Description = "llama.cpp's llama-quantize, which here widens to F32", Required = true };
        var output = new Option<string>("--output") { Description = "folder for the JSON files", Required = true };
        var only = new Option<string?>("--only") { Description = "only those whose names begin so" };
        var command = new Command("fixtures", "Computes the logits of the engine's test models by llama.cpp.") { logits, quantize, output, only };
        command.SetAction(result =>
        {
            foreach (var (name, fixture) in Fixture.All().Where(pair => pair.Key.StartsWith(result.GetValue(only) ?? "", StringComparison.Ordinal)))
            {
                Find(fixture, result.GetValue(logits)!, result.GetValue(quantize)!).Write(Path.Combine(result.GetValue(output)!, name + ".json"));
                Console.WriteLine(name);
            }
        });
        return command;
    }

    /// <summary>The fixture of the first seed whose continuation is clear (rounding decides none of its tokens) and no mere repetition.</summary>
    private static Fixture Find(Fixture fixture, string logits, string quantize)
    {
        for (var seed = fixture.Model.Seed; ; seed++)
        {
            // Gemma's logits differ by some thousandths between programs, and its tied embeddings make it repeat itself.
            var (made, margin) = Make(fixture with { Model = fixture.Model with { Seed = seed } }, logits, quantize);
            var (clear, different) = fixture.Model.IsGemma ? (0.03f, 1) : (0.01f, 12);
            if (made.Continuation is not { } tokens || (margin >= clear && tokens.Distinct().Count() >= different)) return made;
        }
    }

    private static (Fixture Fixture, float Margin) Make(Fixture fixture, string logits, string quantize)
    {
        var folder = Directory.CreateTempSubdirectory("kvasir-fixture-");
        try
        {
            var file = Path.Combine(folder.FullName, "model.gguf");
            if (fixture.Model.Family == SyntheticFamily.Mistral) SyntheticCheckpoint.WriteWindowedForLlamaCpp(file, fixture.Model);
            else SyntheticCheckpoint.WriteGguf(file, fixture.Model);
            if (fixture.Model.Type != TensorType.F32)
            {
                // Against weights widened to F32, so that the reference does not round activations.
                var widened = Path.Combine(folder.FullName, "f32.gguf");
                Run(quantize, "--allow-requantize", file, widened, "F32");
                file = widened;
            }
            var wanted = fixture.Continuation is null ? 0 : Fixture.ContinuationLength;
            var printed = Run(logits, file, fixture.Context.ToString(), string.Join(' ', fixture.Tokens), string.Join(' ', fixture.Positions), wanted.ToString());
            var (rows, continuation, margin) = JsonSerializer.Deserialize<Printed>(printed)!;
            return (fixture with { Logits = rows, Continuation = wanted == 0 ? null : continuation }, margin);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
    }
}

using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>fixtures: writes the tiny models of the engine's tests and has llama.cpp compute their logits.</summary>
internal static class FixtureCommand
{
    public static Command Create()
    {
        var logits = new Option<string>("--logits") { Description = "the program built of Fixtures/logits.cpp", Required = true };
        var quantize = new Option<string>("--quantize") { Description = "llama.cpp's llama-quantize, which here widens to F32", Required = true };
        var output = new Option<string>("--output") { Description = "folder for the JSON files", Required = true };
        var command = new Command("fixtures", "Computes the logits of the engine's test models by llama.cpp.") { logits, quantize, output };
        command.SetAction(result =>
        {
            foreach (var (name, fixture) in Fixture.All())
            {
                Make(fixture, result.GetValue(logits)!, result.GetValue(quantize)!).Write(Path.Combine(result.GetValue(output)!, name + ".json"));
                Console.WriteLine(name);
            }
        });
        return command;
    }

    private static Fixture Make(Fixture fixture, string logits, string quantize)
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
            var printed = Run(logits, file, fixture.Context.ToString(), string.Join(' ', fixture.Tokens), string.Join(' ', fixture.Positions));
            return fixture with { Logits = JsonSerializer.Deserialize<float[][]>(printed)! };
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

using Kvasir.Cli.Tests.Fixtures;
using System.Diagnostics;

namespace Kvasir.Cli.Tests;

/// <summary>Runs the program as a user would.</summary>
internal static class PlanRun
{
    public const string Llama70B = """
        {"model_type":"llama","_name_or_path":"meta-llama/Llama-3.1-70B-Instruct","hidden_size":8192,"num_hidden_layers":80,"num_attention_heads":64,
         "num_key_value_heads":8,"intermediate_size":28672,"vocab_size":128256,"max_position_embeddings":131072,"rope_theta":500000.0}
        """;

    public static (int Code, string Output, string Error) Of(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(CommandLine.Program, "kvasir.dll"), .. arguments])
        {
            RedirectStandardOutput = true, RedirectStandardError = true, StandardOutputEncoding = System.Text.Encoding.UTF8,
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }
}

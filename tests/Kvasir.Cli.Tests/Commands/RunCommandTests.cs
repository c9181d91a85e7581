using System.Text.Json;
using Kvasir.Cli.Tests.Fixtures;

namespace Kvasir.Cli.Tests.Commands;

public sealed class RunCommandTests(CommandLine line)
{
    [Fact]
    public void The_same_seed_gives_the_same_text_after_the_prompt()
    {
        string[] arguments = ["run", line.Gguf, "Once upon", "--max-tokens", "12", "--seed", "7"];
        var first = CommandLine.Run(arguments);
        Assert.Equal((0, ""), (first.Code, first.Error));
        Assert.StartsWith("Once upon", first.Output, StringComparison.Ordinal);
        Assert.Equal(first.Output, CommandLine.Run(arguments).Output);
        Assert.NotEqual(first.Output, CommandLine.Run([.. arguments[..^1], "8"]).Output);
    }

    [Fact]
    public void Json_holds_text_tokens_reason_and_usage()
    {
        var outcome = CommandLine.Run("run", line.HuggingFace, "Hello", "--max-tokens", "5", "--temperature", "0", "--json");
        Assert.Equal(0, outcome.Code);
        using var json = JsonDocument.Parse(outcome.Output);
        var (root, tokens) = (json.RootElement, json.RootElement.GetProperty("tokens"));
        Assert.Equal(tokens.GetArrayLength(), root.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.All(tokens.EnumerateArray(), token => Assert.True(token.GetProperty("logprob").GetDouble() < 0));
        Assert.Contains(root.GetProperty("finish_reason").GetString(), (string?[])["stop", "length"]);
        Assert.True(root.GetProperty("text").ValueKind == JsonValueKind.String);
    }

    [Fact]
    public void Log_probabilities_are_printed_one_token_a_line()
    {
        var outcome = CommandLine.Run("run", line.Gguf, "Hello", "--max-tokens", "4", "--temperature", "0", "--logprobs");
        Assert.All(outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries), text => Assert.Matches("^[0-9]+\t-[0-9.]+\t\".*\"$", text));
    }

    [Theory]
    [InlineData(2, "--max-tokens 0 is not at least 1", "--max-tokens", "0")]
    [InlineData(2, "--temperature -1 is not between 0 and 2", "--temperature", "-1")]
    [InlineData(2, "--memory 'much' is not a size; write 4GiB", "--memory", "much")]
    [InlineData(2, "--kv-dtype 'f8' is not known; f16, f32, bf16, q8_0, q4_0, fp8 are", "--kv-dtype", "f8")]
    [InlineData(2, "--kv-dtype 'k=q8_0,k=f16' is not known", "--kv-dtype", "k=q8_0,k=f16")]
    [InlineData(2, "--kv-canary 'much' is neither a share nor off; write 2%", "--kv-canary", "much")]
    [InlineData(1, "That is more than the bound of 0 %", "--kv-dtype", "k=f16,v=q4_0", "--kv-canary", "0%")]
    [InlineData(2, "The context is 3 tokens, but must be at least 16", "--context", "3")]
    [InlineData(2, "'--temprature'", "--temprature", "1")]
    [InlineData(1, "Raise --memory", "--memory", "1MiB")]
    public void What_is_wrong_is_named_with_what_would_be_right(int code, string expected, params string[] flags)
    {
        var outcome = CommandLine.Run(["run", line.Gguf, "Hello", .. flags]);
        Assert.Equal(code, outcome.Code);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        Assert.Equal("", outcome.Output);
    }

    [Fact]
    public void A_prompt_beyond_the_context_is_refused_with_both_numbers()
    {
        var outcome = CommandLine.Run("run", line.Gguf, new string('x', 100), "--context", "32");
        Assert.Equal(1, outcome.Code);
        Assert.Matches("The prompt has [0-9]+ tokens, but the context is 32", outcome.Error);
    }

    [Fact]
    public void A_truncated_file_is_an_error_and_with_verbose_shows_where()
    {
        var bytes = File.ReadAllBytes(line.Gguf);
        File.WriteAllBytes(line.Path("cut.gguf"), bytes[..(bytes.Length / 2)]);
        var brief = CommandLine.Run("run", line.Path("cut.gguf"), "Hello");
        Assert.Equal(1, brief.Code);
        Assert.Single(brief.Error.Trim().Split('\n'));
        Assert.Contains("cut.gguf", brief.Error, StringComparison.Ordinal);
        Assert.Contains("   at Kvasir.", CommandLine.Run("run", line.Path("cut.gguf"), "Hello", "--verbose").Error, StringComparison.Ordinal);
    }
}

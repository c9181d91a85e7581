using Kvasir.Cli.Tests.Fixtures;

namespace Kvasir.Cli.Tests.Commands;

public sealed class ChatCommandTests(CommandLine line)
{
    [Fact]
    public void Over_a_pipe_each_line_is_a_message_and_nothing_else_is_printed()
    {
        var outcome = CommandLine.RunWith("one\n\ntwo\n", [], "chat", line.Gguf, "--max-tokens", "3", "--temperature", "0");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.NotEqual("", outcome.Output);
        Assert.DoesNotContain("> ", outcome.Output, StringComparison.Ordinal);
        Assert.Equal(outcome.Output, CommandLine.RunWith("one\ntwo\n/exit\nthree\n", [], "chat", line.Gguf, "--max-tokens", "3", "--temperature", "0").Output);
    }

    [Fact]
    public void Commands_answer_on_stderr()
    {
        var outcome = CommandLine.RunWith("/help\n/system Be brief.\n/history\n/memory\n/what\n/exit\n", [], "chat", line.Gguf);
        Assert.Equal((0, ""), (outcome.Code, outcome.Output));
        foreach (var part in (string[])["/reset", "system: Be brief.", "weights", "/what is not a command"]) Assert.Contains(part, outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_that_does_not_fit_says_so_and_fails()
    {
        var outcome = CommandLine.RunWith(new string('x', 500) + "\n", [], "chat", line.Gguf, "--context", "64");
        Assert.Equal(1, outcome.Code);
        Assert.Matches("tokens.*context.*64.*/reset", outcome.Error.ReplaceLineEndings(" "));
    }

    [Fact]
    public void Without_a_model_the_demo_is_used_and_where_there_is_none_the_error_says_how_to_name_one()
    {
        var named = CommandLine.RunWith("hi\n", new() { ["KVASIR_DEMO"] = line.Gguf }, "chat", "--max-tokens", "2");
        Assert.Equal((0, ""), (named.Code, named.Error));
        var missing = CommandLine.RunWith("hi\n", new() { ["KVASIR_DEMO"] = "/no/demo.gguf" }, "chat");
        Assert.Equal(1, missing.Code);
        Assert.Contains("KVASIR_DEMO", missing.Error, StringComparison.Ordinal);
        Assert.Contains("/no/demo.gguf", missing.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--temperature 3 is not between 0 and 2", "--temperature", "3")]
    [InlineData("--max-tokens 0 is not at least 1", "--max-tokens", "0")]
    public void A_wrong_flag_is_named(string expected, params string[] flags)
    {
        var outcome = CommandLine.Run(["chat", line.Gguf, .. flags]);
        Assert.Equal(2, outcome.Code);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
    }
}

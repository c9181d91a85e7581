using System.Text.Json;
using Kvasir.Cli.Tests.Fixtures;

namespace Kvasir.Cli.Tests.Commands;

/// <summary>tokenize, detokenize and render.</summary>
public sealed class TextCommandTests(CommandLine line)
{
    [Fact]
    public void Ids_are_printed_with_spaces_and_give_the_text_back()
    {
        var ids = CommandLine.Run("tokenize", line.Gguf, "Hello world");
        Assert.Equal((0, ""), (ids.Code, ids.Error));
        Assert.Matches("^[0-9]+( [0-9]+)*\n$", ids.Output);
        Assert.Equal("Hello world\n", CommandLine.RunWith(ids.Output, [], "detokenize", line.Gguf).Output);
        Assert.Equal("Hello world\n", CommandLine.Run(["detokenize", line.Gguf, .. ids.Output.Trim().Split(' ')]).Output);
    }

    [Fact]
    public void Text_comes_from_the_argument_a_file_or_stdin_with_the_same_ids()
    {
        var expected = CommandLine.Run("tokenize", line.Gguf, "żółw 12\n").Output;
        Assert.Equal(expected, CommandLine.Run("tokenize", line.Gguf, "--file", line.Write("text.txt", "żółw 12\n")).Output);
        Assert.Equal(expected, CommandLine.RunWith("żółw 12\n", [], "tokenize", line.Gguf).Output);
        Assert.Equal("[" + expected.Trim().Replace(" ", ", ", StringComparison.Ordinal) + "]\n", CommandLine.Run("tokenize", line.Gguf, "żółw 12\n", "--json").Output);
    }

    [Fact]
    public void Lines_of_JSON_strings_become_lines_of_arrays_until_one_is_not_a_string()
    {
        var outcome = CommandLine.RunWith("\"one\"\n\"a\\nb\"\n5\n", [], "tokenize", line.Gguf, "--jsonl");
        Assert.Equal(1, outcome.Code);
        Assert.Equal(2, outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(text => JsonSerializer.Deserialize<int[]>(text)!.Length).Count(length => length > 0));
        Assert.Equal("Line 3 is not a JSON string: 5\n", outcome.Error);
    }

    [Fact]
    public void Special_tokens_are_added_and_read_only_when_asked_for()
    {
        var plain = CommandLine.Run("tokenize", line.Gguf, "<|begin|>").Output.Trim();
        Assert.Equal(plain.Split(' ').Length + 1, CommandLine.Run("tokenize", line.Gguf, "<|begin|>", "--add-special").Output.Trim().Split(' ').Length);
        Assert.DoesNotContain(' ', CommandLine.Run("tokenize", line.Gguf, "<|begin|>", "--parse-special").Output.Trim());
    }

    [Fact]
    public void A_template_is_rendered_exactly_and_its_error_goes_to_stderr()
    {
        var context = line.Write("context.json", """{"messages":[{"role":"user","content":"Hi <&> ż"}],"bos_token":"<s>"}""");
        var good = line.Write("good.jinja", "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %} {{ strftime_now('%d %b %Y') }}");
        Assert.Equal(new Outcome(0, "<s>[user] Hi <&> ż 04 Jul 2026", ""), CommandLine.Run("render", "--template", good, "--context", context, "--now", "2026-07-04"));
        var bad = CommandLine.Run("render", "--template", line.Write("bad.jinja", "x{{ raise_exception('no system role') }}"), "--context", context);
        Assert.Equal((1, ""), (bad.Code, bad.Output));
        Assert.Contains("no system role", bad.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, "'/no/such.gguf'", "tokenize", "/no/such.gguf", "x")]
    [InlineData(1, "/no/text.txt' does not exist", "tokenize", "GGUF", "--file", "/no/text.txt")]
    [InlineData(2, "choose one", "tokenize", "GGUF", "x", "--jsonl")]
    [InlineData(2, "'9999' is not a token id from 0 to 383", "detokenize", "GGUF", "9999")]
    [InlineData(2, "'-1' is not a token id", "detokenize", "GGUF", "--", "-1")]
    [InlineData(1, "'/no/context.json' does not exist", "render", "--template", "/no/t.jinja", "--context", "/no/context.json")]
    [InlineData(2, "--now 'soon' is not a date; write 2026-07-04", "render", "--template", "t", "--context", "c", "--now", "soon")]
    [InlineData(2, "Option '--context' is required", "render", "--template", "t")]
    public void What_is_wrong_is_named(int code, string expected, params string[] arguments)
    {
        var outcome = CommandLine.Run([.. arguments.Select(argument => argument == "GGUF" ? line.Gguf : argument)]);
        Assert.Equal(code, outcome.Code);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
        Assert.Equal("", outcome.Output);
    }
}

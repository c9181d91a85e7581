namespace Kvasir.Embedded.Tests;

public sealed class ToolCallScannerTests
{
    [Theory]
    [InlineData("""<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>""", "", """f {"a":1}""")]
    [InlineData("""So: <tool_call>{"name":"f","arguments":{}}</tool_call> done""", "So:  done", "f {}")]
    [InlineData("""<tool_call>{"name":"f","arguments":{}}</tool_call><tool_call>{"name":"g","arguments":"{}"}</tool_call>""", "", "f {}|g {}")]
    [InlineData("""{"name":"f","parameters":{"a":"</tool_call>"}}""", "", """f {"a":"</tool_call>"}""")]
    [InlineData("""<|python_tag|>{"name":"f","parameters":{}}""", "", "f {}")]
    [InlineData("""<tool_call>{"name":"f","arguments":{}}""", "", "f {}")]
    [InlineData("<tool_call>not json</tool_call>", "<tool_call>not json</tool_call>", "")]
    [InlineData("""{"answer": 42}""", """{"answer": 42}""", "")]
    [InlineData("1 < 2 <tool", "1 < 2 <tool", "")]
    [InlineData("  plain text", "  plain text", "")]
    [InlineData("""<tool_call>{"name":5,"arguments":{}}</tool_call>""", """<tool_call>{"name":5,"arguments":{}}</tool_call>""", "")]
    public void Calls_are_taken_out_wherever_pieces_end(string text, string expected, string calls)
    {
        for (var size = 1; size <= text.Length; size++)
        {
            var scanner = new ToolCallScanner();
            var output = string.Concat(text.Chunk(size).Select(piece => scanner.Push(new string(piece)))) + scanner.Flush();
            Assert.Equal(expected, output);
            Assert.Equal(calls, string.Join('|', scanner.Calls.Select(call => $"{call.Name} {call.Arguments}")));
        }
    }
}

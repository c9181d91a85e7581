using System.Text.Json.Nodes;

namespace Kvasir.Embedded.Tests;

public sealed class PlainChatTests
{
    [Fact]
    public void Without_a_template_messages_become_lines()
    {
        var messages = (JsonArray)JsonNode.Parse("""
            [{"role":"system","content":"Be short."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}]
            """)!;
        Assert.Equal("Be short.\n\nUser: Hi\nAssistant: Hello\nUser: Bye\nAssistant:", PlainChat.Render(new ChatPrompt(messages)));
        Assert.Equal("Be short.\n\nUser: Hi\nAssistant: Hello\nUser: Bye\n", PlainChat.Render(new ChatPrompt(messages, AddGenerationPrompt: false)));
    }
}

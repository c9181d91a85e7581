using System.Text;
using System.Text.Json.Nodes;

namespace Kvasir.Cli.Load;

/// <summary>What was said in a session, as text or as messages; immutable.</summary>
internal sealed class Transcript
{
    private readonly string system;
    private readonly IReadOnlyList<string> said;

    /// <param name="system">Text before everything; may be empty.</param>
    public Transcript(string system) : this(system, []) { }

    private Transcript(string system, IReadOnlyList<string> said) => (this.system, this.said) = (system, said);

    /// <summary>With one more text: the user's and the assistant's alternate, the user's first.</summary>
    public Transcript With(string text) => new(system, [.. said, text]);

    /// <summary>All of it as one text.</summary>
    public string Text()
    {
        var text = new StringBuilder(system);
        foreach (var part in said)
        {
            if (text.Length > 0) text.Append("\n\n");
            text.Append(part);
        }
        return text.ToString();
    }

    /// <summary>All of it as chat messages.</summary>
    public JsonArray Messages()
    {
        var messages = new JsonArray();
        if (system.Length > 0) messages.Add(Message("system", system));
        for (var index = 0; index < said.Count; index++) messages.Add(Message(index % 2 == 0 ? "user" : "assistant", said[index]));
        return messages;
    }

    private static JsonNode Message(string role, string content) => new JsonObject { ["role"] = role, ["content"] = content };
}

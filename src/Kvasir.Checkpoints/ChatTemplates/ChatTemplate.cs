using System.Text.Json.Nodes;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>
/// A chat template: the part of Jinja that models' templates use, rendered as Hugging Face's transformers does
/// (trim_blocks, lstrip_blocks, loop controls, an immutable sandbox, <c>tojson</c> without ASCII or HTML escaping).
/// </summary>
public sealed class ChatTemplate
{
    private readonly IReadOnlyList<Node> _nodes;

    private ChatTemplate(IReadOnlyList<Node> nodes) => _nodes = nodes;

    /// <summary>Parses a template.</summary>
    /// <exception cref="ChatTemplateException">It is malformed.</exception>
    public static ChatTemplate Parse(string source)
    {
        // Jinja reads universal newlines and drops the last one of the source.
        var text = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        return new ChatTemplate(Parser.Parse(text.EndsWith('\n') ? text[..^1] : text));
    }

    /// <summary>Renders a conversation.</summary>
    /// <param name="context">messages, tools, add_generation_prompt, bos_token … by name.</param>
    /// <param name="now">What <c>strftime_now</c> prints.</param>
    /// <exception cref="ChatTemplateException">The template refuses the conversation, or fails on it.</exception>
    public string Render(JsonObject context, DateTimeOffset now) => new Renderer(now).Render(_nodes, (DictValue)Values.FromJson(context)!);
}

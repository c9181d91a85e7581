using System.Collections.Immutable;
using System.Text;

namespace Kvasir;

/// <summary>
/// The conversation form for models without a chat template: system text alone, then <c>User:</c> and <c>Assistant:</c>
/// lines. Models that were never trained to chat often follow it.
/// </summary>
public static class PlainChat
{
    /// <summary>Texts with which an answer would begin to speak for the user.</summary>
    public static ImmutableArray<string> Stops { get; } = ["\nUser:", "\nSystem:"];

    /// <summary>Renders messages.</summary>
    public static string Render(ChatPrompt prompt)
    {
        var text = new StringBuilder();
        foreach (var message in prompt.Messages)
        {
            var content = message?["content"]?.ToString().Trim() ?? "";
            var speaker = message?["role"]?.ToString() switch
            {
                "user" => "User: ",
                "assistant" => "Assistant: ",
                "tool" => "Tool: ",
                _ => "",
            };
            text.Append(speaker).Append(content).Append(speaker.Length == 0 ? "\n\n" : "\n");
        }
        return prompt.AddGenerationPrompt ? text.Append("Assistant:").ToString() : text.ToString();
    }
}

using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints.ChatTemplates;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir render</c>: a chat template and a conversation to the prompt's exact text.</summary>
public static class RenderCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var template = new Option<string>("--template") { Description = "The Jinja template.", Required = true };
        var context = new Option<string>("--context") { Description = "JSON: {\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], …}.", Required = true };
        var now = new Option<string?>("--now") { Description = "The date that strftime_now prints: 2026-07-04. Without it, today." };
        var command = new KvasirCommand("render", "Render a chat template: prints exactly the text.",
            "kvasir render --template chat_template.jinja --context conversation.json",
            "kvasir render --template chat_template.jinja --context conversation.json --now 2026-07-04")
        {
            template, context, now,
        };
        command.SetAction(parse => Run(parse.GetRequiredValue(template), parse.GetRequiredValue(context), parse.GetValue(now)));
        return command;
    }

    private static int Run(string template, string context, string? date)
    {
        var now = TimeProvider.System.GetLocalNow();
        if (date is not null && !DateTimeOffset.TryParse(date, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out now))
            throw new UsageException($"--now '{date}' is not a date; write 2026-07-04 or 2026-07-04T12:00:00.");
        JsonNode? parsed;
        try
        {
            parsed = JsonNode.Parse(File.ReadAllText(context));
        }
        catch (JsonException error)
        {
            throw new CommandException($"'{context}' is not JSON: {error.Message}", error);
        }
        if (parsed is not JsonObject conversation) throw new CommandException($"'{context}' holds no JSON object; {{\"messages\": […]}} was expected.");
        var text = ChatTemplate.Parse(File.ReadAllText(template)).Render(conversation, now);
        using var output = Output.Open();
        output.Write(text);
        return 0;
    }
}

using System.Text;
using System.Text.Json;

namespace Kvasir;

/// <summary>A function that the model asks to call.</summary>
/// <param name="Name">The function's name.</param>
/// <param name="Arguments">Its arguments: a JSON object, as text.</param>
public sealed record ToolRequest(string Name, string Arguments);

/// <summary>
/// Finds tool calls in an answer that arrives in pieces. Two forms are known: <c>&lt;tool_call&gt;{"name": …, "arguments": …}&lt;/tool_call&gt;</c>
/// (Hermes, Qwen), and an answer that as a whole is <c>{"name": …, "parameters": …}</c> (Llama 3), with or without
/// <c>&lt;|python_tag|&gt;</c> in front. Whatever does not parse passes through as text.
/// </summary>
public sealed class ToolCallScanner
{
    private const string Open = "<tool_call>";
    private const string Close = "</tool_call>";
    private const string PythonTag = "<|python_tag|>";

    private readonly StringBuilder held = new();
    private readonly List<ToolRequest> calls = [];
    private bool isStart = true;
    private bool isBareJson;

    /// <summary>Calls found so far.</summary>
    public IReadOnlyList<ToolRequest> Calls => calls;

    /// <summary>Takes a piece and returns what is certainly not part of a call.</summary>
    public string Push(string piece)
    {
        held.Append(piece);
        var text = held.ToString();
        if (isStart)
        {
            var trimmed = text.TrimStart();
            if (trimmed.Length == 0 || PythonTag.StartsWith(trimmed, StringComparison.Ordinal)) return "";
            isStart = false;
            isBareJson = trimmed[0] == '{' || trimmed.StartsWith(PythonTag, StringComparison.Ordinal);
        }
        return isBareJson ? "" : Take(text);
    }

    /// <summary>What was held back, when no more text comes.</summary>
    public string Flush()
    {
        var rest = held.ToString();
        held.Clear();
        if (isBareJson && TryParse(rest.Trim().Replace(PythonTag, "", StringComparison.Ordinal))) return "";
        // Models leave out the closing tag when they stop right after the call.
        if (rest.StartsWith(Open, StringComparison.Ordinal) && TryParse(rest[Open.Length..])) return "";
        return rest;
    }

    private string Take(string text)
    {
        var output = new StringBuilder();
        while (true)
        {
            var open = text.IndexOf(Open, StringComparison.Ordinal);
            if (open < 0)
            {
                var keep = PartialLength(text);
                output.Append(text, 0, text.Length - keep);
                held.Clear().Append(text, text.Length - keep, keep);
                return output.ToString();
            }
            output.Append(text, 0, open);
            var close = text.IndexOf(Close, open, StringComparison.Ordinal);
            if (close < 0)
            {
                held.Clear().Append(text, open, text.Length - open);
                return output.ToString();
            }
            var end = close + Close.Length;
            if (!TryParse(text[(open + Open.Length)..close])) output.Append(text, open, end - open);
            text = text[end..].TrimStart('\n');
        }
    }

    private static int PartialLength(string text)
    {
        for (var length = Math.Min(Open.Length - 1, text.Length); length > 0; length--)
            if (text.AsSpan(text.Length - length).SequenceEqual(Open.AsSpan(0, length)))
                return length;
        return 0;
    }

    private bool TryParse(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) return false;
            if (!root.TryGetProperty("name", out var name) || name.ValueKind != JsonValueKind.String) return false;
            if (!root.TryGetProperty("arguments", out var arguments) && !root.TryGetProperty("parameters", out arguments)) return false;
            calls.Add(new ToolRequest(name.GetString()!,
                arguments.ValueKind == JsonValueKind.String ? arguments.GetString()! : arguments.GetRawText()));
            return true;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return false;
        }
    }
}

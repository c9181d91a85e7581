using System.Collections.Immutable;
using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir;

/// <summary>Turns one answer's tokens into text: whole characters, without stop strings, without tool calls.</summary>
internal sealed class AnswerWriter
{
    private readonly StreamingDecoder decoder;
    private readonly StopScanner stops;
    private readonly ToolCallScanner? tools;
    private readonly ImmutableArray<int> stopTokens;

    public AnswerWriter(Tokenizer tokenizer, TextRequest request)
    {
        // Tool calls may be written with special tokens, which must then be seen to be found.
        decoder = tokenizer.CreateDecoder(request.KeepSpecial || request.FindToolCalls);
        stops = new StopScanner(request.Stop, request.IncludeStop);
        tools = request.FindToolCalls ? new ToolCallScanner() : null;
        stopTokens = StopTokens(tokenizer, request);
        // An answer goes on where the prompt ends: no first space to strip, and a character may be half done.
        if (!tokenizer.IsSpecial(request.Prompt[^1])) decoder.Push(request.Prompt[^1]);
    }

    /// <summary>Whether a stop string was found.</summary>
    public bool IsStopped => stops.Found is not null;

    /// <summary>Calls found; complete after <see cref="End"/>.</summary>
    public ImmutableArray<ToolRequest> ToolCalls => tools is null ? [] : [.. tools.Calls];

    /// <summary>Every token that ends the answer: the request's and, unless they are to be ignored, the model's.</summary>
    public static ImmutableArray<int> StopTokens(Tokenizer tokenizer, TextRequest request) =>
        request.IgnoreEndOfText ? request.StopTokens : [.. request.StopTokens.Concat(tokenizer.EndOfGeneration).Distinct()];

    /// <summary>Takes a token; gives the text that is certain with it.</summary>
    public string Push(int token)
    {
        if (stopTokens.Contains(token)) return "";
        return Scan(decoder.Push(token));
    }

    /// <summary>The text that waited for more.</summary>
    public string End()
    {
        var text = IsStopped ? "" : Scan(decoder.Flush()) + Through(stops.Flush());
        return text + tools?.Flush();
    }

    private string Scan(string text) => Through(stops.Push(text));

    private string Through(string text) => tools is null || text.Length == 0 ? text : tools.Push(text);
}

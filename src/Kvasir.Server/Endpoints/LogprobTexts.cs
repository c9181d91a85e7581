using Kvasir.Checkpoints.Tokenizers;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;

namespace Kvasir.Server.Endpoints;

/// <summary>Log-probabilities in the form of chat completions.</summary>
internal static class LogprobTexts
{
    public static ChatTokenLogprob Of(Tokenizer tokenizer, GeneratedToken token) => new(
        Text(tokenizer, token.Token), Finite(token.LogProbability), Bytes(tokenizer, token.Token),
        [.. token.Top.Select(top => new ChatTopLogprob(Text(tokenizer, top.Token), Finite(top.Value), Bytes(tokenizer, top.Token)))]);

    /// <summary>The token's text; a part of a character shows as U+FFFD, and its bytes say which.</summary>
    public static string Text(Tokenizer tokenizer, int token) =>
        tokenizer.IsSpecial(token) ? tokenizer.Text(token) : System.Text.Encoding.UTF8.GetString(tokenizer.Bytes(token).Span);

    /// <summary>JSON has no infinity: OpenAI's own stand-in for the impossible is −9999.</summary>
    public static double Finite(float value) => float.IsFinite(value) ? value : -9999;

    private static int[] Bytes(Tokenizer tokenizer, int token) => [.. tokenizer.Bytes(token).ToArray().Select(part => (int)part)];
}

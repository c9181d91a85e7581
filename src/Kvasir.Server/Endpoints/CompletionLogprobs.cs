using System.Collections.Immutable;
using Kvasir.Checkpoints.Tokenizers;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;

namespace Kvasir.Server.Endpoints;

/// <summary>Log-probabilities in the form of text completions, part by part: the echoed prompt's first, offsets running on.</summary>
internal sealed class CompletionLogprobs(Tokenizer tokenizer, int alternatives, ImmutableArray<int> prompt, ReadOnlyMemory<float> promptScores)
{
    private int offset;
    private bool hasEchoed;

    /// <summary>The next tokens'.</summary>
    public TextLogprobs Take(IReadOnlyList<GeneratedToken> tokens)
    {
        var (texts, scores, tops, offsets) = (new List<string>(), new List<double?>(), new List<IReadOnlyDictionary<string, double>?>(), new List<int>());
        if (!hasEchoed)
            for (var index = 0; index < prompt.Length; index++)
            {
                double? score = index == 0 ? null : LogprobTexts.Finite(promptScores.Span[index - 1]);
                var text = LogprobTexts.Text(tokenizer, prompt[index]);
                Add(text, score, score is { } value ? new Dictionary<string, double> { [text] = value } : null);
            }
        hasEchoed = true;
        foreach (var token in tokens)
            Add(LogprobTexts.Text(tokenizer, token.Token), LogprobTexts.Finite(token.LogProbability), Top(token));
        return new TextLogprobs(texts, scores, tops, offsets);

        void Add(string text, double? score, IReadOnlyDictionary<string, double>? top)
        {
            texts.Add(text);
            scores.Add(score);
            tops.Add(top);
            offsets.Add(offset);
            offset += text.Length;
        }
    }

    private Dictionary<string, double> Top(GeneratedToken token)
    {
        var top = new Dictionary<string, double>();
        // Two parts of characters can have the same text (U+FFFD): the likelier stands for both.
        foreach (var candidate in token.Top.Take(alternatives)) top.TryAdd(LogprobTexts.Text(tokenizer, candidate.Token), LogprobTexts.Finite(candidate.Value));
        return top;
    }
}

using System.Collections.Immutable;
using System.Threading.Channels;
using Kvasir.Checkpoints.Tokenizers;
using Kvasir.Engine;

namespace Kvasir;

/// <summary>
/// Answers that are being written, as parts in the order they come. Dispose it to leave early: what it holds is free within
/// one step of the engine.
/// </summary>
public sealed class TextGeneration : IAsyncDisposable
{
    private readonly Tokenizer tokenizer;
    private readonly ImmutableArray<(TextRequest Request, GenerationStream Stream)> choices;
    private readonly int[] generated;

    internal TextGeneration(Tokenizer tokenizer, ImmutableArray<(TextRequest, GenerationStream)> choices)
    {
        (this.tokenizer, this.choices) = (tokenizer, choices);
        generated = new int[choices.Length];
    }

    /// <summary>Answers being written.</summary>
    public int Count => choices.Length;

    /// <summary>Tokens of the prompts, those of answers that share a prompt counted once.</summary>
    public int PromptTokens => Distinct().Sum(choice => choice.Request.Prompt.Length);

    /// <summary>Prompt tokens that were not computed again.</summary>
    public int CachedTokens => Distinct().Sum(choice => choice.Stream.Usage.CachedTokens);

    /// <summary>Tokens generated so far.</summary>
    public int GeneratedTokens => generated.Sum();

    /// <summary>Seconds the first answer waited for its first step; meaningful at the end.</summary>
    public double QueueSeconds => choices[0].Stream.Usage.QueueSeconds;

    /// <summary>What the first answer used; meaningful at the end.</summary>
    public RequestUsage Usage => choices[0].Stream.Usage;

    /// <summary>What became of each answer; null unless asked for, or where the engine has not begun.</summary>
    public RequestExplanation? Explanation(int choice) => choices[choice].Stream.Explanation;

    /// <summary>ln p of the prompt's tokens from the second on, where asked for; complete once an answer has begun.</summary>
    public ReadOnlyMemory<float> PromptLogProbabilities(int choice) => choices[choice].Stream.PromptLogProbabilities;

    /// <summary>The parts of all answers as they come, once.</summary>
    /// <exception cref="RequestException">A step failed inside the engine, or it was closed.</exception>
    public IAsyncEnumerable<TextPart> ReadAsync(CancellationToken cancel = default) =>
        choices.Length == 1 ? ReadAsync(0, cancel) : MergeAsync(cancel);

    /// <summary>Leaves.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var (_, stream) in choices) await stream.DisposeAsync().ConfigureAwait(false);
    }

    private IEnumerable<(TextRequest Request, GenerationStream Stream)> Distinct() =>
        choices.DistinctBy(choice => choice.Request.Prompt);

    private async IAsyncEnumerable<TextPart> MergeAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        // Bounded: a reader that is slow slows the merging, not the engine.
        var parts = Channel.CreateBounded<TextPart>(new BoundedChannelOptions(64) { SingleReader = true });
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var writers = Task.WhenAll(Enumerable.Range(0, choices.Length).Select(choice => CopyAsync(choice, parts.Writer, leaving.Token)));
        _ = writers.ContinueWith(done => parts.Writer.TryComplete(done.Exception?.InnerException), CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            await foreach (var part in parts.Reader.ReadAllAsync(cancel).ConfigureAwait(false)) yield return part;
        }
        finally
        {
            await leaving.CancelAsync().ConfigureAwait(false);
        }
    }

    private async Task CopyAsync(int choice, ChannelWriter<TextPart> writer, CancellationToken cancel)
    {
        await foreach (var part in ReadAsync(choice, cancel).ConfigureAwait(false))
            await writer.WriteAsync(part, cancel).ConfigureAwait(false);
    }

    private async IAsyncEnumerable<TextPart> ReadAsync(int choice, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        var (request, stream) = choices[choice];
        var writer = new AnswerWriter(tokenizer, request);
        await using var leaving = ((IAsyncDisposable)stream).ConfigureAwait(false);
        await foreach (var token in stream.WithCancellation(cancel).ConfigureAwait(false))
        {
            generated[choice]++;
            var text = writer.Push(token.Token);
            if (writer.IsStopped)
            {
                yield return new TextPart(choice, text + writer.End(), [token], FinishReason.Stop) { ToolCalls = writer.ToolCalls };
                yield break;
            }
            yield return new TextPart(choice, text, [token]);
        }
        var rest = writer.End();
        var reason = writer.IsStopped ? FinishReason.Stop : stream.FinishReason;
        yield return new TextPart(choice, rest, [], reason) { ToolCalls = writer.ToolCalls };
    }
}

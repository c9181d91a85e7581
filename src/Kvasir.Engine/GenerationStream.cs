using System.Threading.Channels;

namespace Kvasir.Engine;

/// <summary>
/// The tokens of one request as they come. Dispose it to leave early: the request's memory is free within one step.
/// </summary>
public sealed class GenerationStream : IAsyncEnumerable<GeneratedToken>, IAsyncDisposable
{
    private readonly Channel<GeneratedToken> _tokens =
        Channel.CreateUnbounded<GeneratedToken>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly Action<GenerationStream> _leave;
    private int _left;

    internal GenerationStream(Action<GenerationStream> leave) => _leave = leave;

    /// <summary>Why the generation ended; meaningful once the tokens are read.</summary>
    public FinishReason FinishReason { get; private set; }

    /// <summary>What the request used, as it was when the last token that was read came; whole once the tokens are read.</summary>
    public RequestUsage Usage { get; private set; }

    /// <summary>What became of the request, if asked for; as current as <see cref="Usage"/>.</summary>
    public RequestExplanation? Explanation { get; private set; }

    /// <summary>ln p of prompt tokens 1, 2 …, [prompt − 1], if asked for; complete once the tokens are read.</summary>
    public ReadOnlyMemory<float> PromptLogProbabilities { get; internal set; }

    /// <summary>The tokens, once.</summary>
    /// <exception cref="RequestException">A step failed inside the engine, or it was closed.</exception>
    public async IAsyncEnumerator<GeneratedToken> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        using var registration = cancellationToken.Register(static stream => ((GenerationStream)stream!).Leave(), this);
        while (await _tokens.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
            while (_tokens.Reader.TryRead(out var token))
                yield return token;
    }

    /// <summary>Leaves: the engine stops this request before its next step.</summary>
    public ValueTask DisposeAsync()
    {
        Leave();
        return ValueTask.CompletedTask;
    }

    /// <summary>The next token if it is there, without waiting.</summary>
    internal bool TryRead(out GeneratedToken token) => _tokens.Reader.TryRead(out token);

    /// <summary>Ends when no further token will come.</summary>
    internal Task Completion => _tokens.Reader.Completion;

    internal void Push(GeneratedToken token) => _tokens.Writer.TryWrite(token);

    /// <summary>Tells how things are, before a token is pushed.</summary>
    internal void Tell(RequestUsage usage, RequestExplanation? explanation) => (Usage, Explanation) = (usage, explanation);

    internal void Complete(FinishReason reason, RequestUsage usage, RequestExplanation? explanation)
    {
        (FinishReason, Usage, Explanation) = (reason, usage, explanation);
        _tokens.Writer.TryComplete();
    }

    internal void Fail(RequestException error) => _tokens.Writer.TryComplete(error);

    private void Leave()
    {
        if (Interlocked.Exchange(ref _left, 1) == 0) _leave(this);
    }
}

using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Scheduling;

/// <summary>
/// The engine's scheduler over a KV cache's books, without weights: it says what each step would compute, and whoever
/// steps it decides how long that takes. All that an engine decides (who is admitted, which blocks are shared, who gives
/// way, what is evicted) is decided by the same code. For one thread.
/// </summary>
public sealed class VirtualEngine
{
    private readonly KvBooks _books;
    private readonly Scheduler _scheduler;
    private readonly Dictionary<Sequence, VirtualRequest> _requests = [];
    private readonly List<Sequence> _finished = [];

    /// <param name="books">The KV cache; several engines may share one.</param>
    /// <param name="options">How many sequences and tokens a step takes, and whether prompts are shared; nothing else counts.</param>
    public VirtualEngine(KvBooks books, EngineOptions options)
    {
        if (options.Problem() is { } problem) throw new ArgumentException(problem, nameof(options));
        (_books, _scheduler) = (books, new Scheduler(books.Cache, books.Pool.Capacity, options));
    }

    /// <summary>Told of a request's first token, at the end of its step.</summary>
    public Action<VirtualRequest> FirstToken { private get; init; } = static _ => { };

    /// <summary>Told of a request that has all its tokens, at the end of its step.</summary>
    public Action<VirtualRequest> Finished { private get; init; } = static _ => { };

    /// <summary>Requests that run.</summary>
    public int Running => _scheduler.Running.Length;

    /// <summary>Requests that wait.</summary>
    public int Waiting => _scheduler.Waiting;

    /// <summary>Requests that gave way since the start.</summary>
    public long Preemptions => _scheduler.Preemptions;

    /// <summary>Takes a request into the queue.</summary>
    /// <param name="request">What is asked. It writes as many tokens as it may, fewer only where the KV cache ends it.</param>
    /// <param name="outputToken">The token that it writes again and again. One of its own keeps others from sharing its text.</param>
    /// <exception cref="RequestException">It has no prompt or writes nothing, or prompt and one token exceed the KV cache.</exception>
    public VirtualRequest Submit(GenerationRequest request, int outputToken)
    {
        var prompt = request.Prompt.Length;
        if (prompt == 0 || request.MaxTokens < 1) throw new RequestException(RefusalKind.Invalid, $"The prompt has {prompt} tokens and {request.MaxTokens} are to follow; at least one of each is needed.");
        if (prompt >= _books.ContextTokens) throw new RequestException(RefusalKind.ExceedsKvCache, $"The prompt has {prompt} tokens, but the KV cache holds {_books.ContextTokens} in all.");
        var limit = (int)Math.Min(_books.ContextTokens, (long)prompt + request.MaxTokens);
        var table = new BlockTable(_books.Pool, _books.Groups, TenantName.Root(request.CacheSalt)) { Retention = request.Retention };
        // Nobody reads what it writes.
        var sequence = new Sequence(request, new GenerationStream(static _ => { }), table, 0, limit, _books.Time.GetTimestamp());
        var taken = new VirtualRequest(sequence, outputToken);
        _requests.Add(sequence, taken);
        _scheduler.Enqueue(sequence);
        return taken;
    }

    /// <summary>Begins a step: what it computes, or null where there is nothing to do.</summary>
    public StepWork? Begin()
    {
        while (_scheduler.Fill() is { } full) Finish(full);
        if (_scheduler.Scheduled.IsEmpty)
        {
            _books.Events?.Publish();
            return null;
        }
        var (prompt, pairs, decodes, context) = (0, 0.0, 0, 0L);
        foreach (var sequence in _scheduler.Scheduled)
        {
            if (sequence.Decodes)
            {
                decodes++;
                context += sequence.Length;
                continue;
            }
            prompt += sequence.Scheduled;
            pairs += sequence.Scheduled * (sequence.Computed + (sequence.Scheduled / 2.0));
        }
        // What gave way for the step is told at its end.
        return new StepWork(prompt, pairs, decodes, context, _books.Events is { IsEmpty: false } ? 0 : _scheduler.Repeats());
    }

    /// <summary>
    /// Instead of ending the step and beginning others like it: so many have passed, and the last of them runs. To be told
    /// before a request that came in that one is taken.
    /// </summary>
    /// <param name="steps">In all at most <see cref="StepWork.Repeats"/>.</param>
    public void Repeat(int steps) => _scheduler.Repeat(steps);

    /// <summary>Ends the step: sequences get their tokens.</summary>
    public void End()
    {
        foreach (var sequence in _scheduler.Scheduled)
        {
            var request = _requests[sequence];
            var tokens = sequence.Computed + sequence.Scheduled - sequence.Length + 1;
            for (var i = 0; i < tokens; i++) sequence.Append(request.OutputToken);
            _scheduler.Book(sequence);
            if (tokens > 0 && !request.HasFirstToken)
            {
                request.HasFirstToken = true;
                FirstToken(request);
            }
            if (!sequence.IsWhole) continue;
            _scheduler.Learn(sequence);
            _finished.Add(sequence);
        }
        foreach (var sequence in _finished) Finish(sequence);
        _finished.Clear();
        _books.Events?.Publish();
    }

    private void Finish(Sequence sequence)
    {
        _scheduler.Remove(sequence);
        if (_requests.Remove(sequence, out var request)) Finished(request);
    }
}

/// <summary>What a step computes.</summary>
/// <param name="PromptTokens">Tokens of prompts.</param>
/// <param name="AttentionPairs">Pairs of those with the tokens before them.</param>
/// <param name="Decodes">Sequences that get one more token.</param>
/// <param name="ContextTokens">Tokens in the contexts of those.</param>
/// <param name="Repeats">So many further steps would run the same sequences, one token each, if nobody came meanwhile: a step of decodes alone.</param>
public readonly record struct StepWork(int PromptTokens, double AttentionPairs, int Decodes, long ContextTokens, int Repeats);

/// <summary>A request in a <see cref="VirtualEngine"/>.</summary>
public sealed class VirtualRequest
{
    private readonly Sequence _sequence;

    internal VirtualRequest(Sequence sequence, int outputToken) => (_sequence, OutputToken) = (sequence, outputToken);

    /// <summary>Tokens of its prompt.</summary>
    public int PromptTokens => _sequence.Request.Prompt.Length;

    /// <summary>Tokens of its prompt that the cache held when it was admitted.</summary>
    public int CachedTokens => _sequence.Cached;

    /// <summary>Tokens written so far.</summary>
    public int OutputTokens => _sequence.Generated;

    /// <summary>How often it gave way.</summary>
    public int Preemptions => _sequence.Preemptions;

    internal int OutputToken { get; }

    internal bool HasFirstToken { get; set; }
}

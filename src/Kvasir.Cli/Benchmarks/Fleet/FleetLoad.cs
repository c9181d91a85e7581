using System.Collections.Immutable;
using Kvasir.Cli.Load;

namespace Kvasir.Cli.Benchmarks.Fleet;

/// <summary>What a fleet is asked.</summary>
/// <param name="Contexts">Long texts that prompts begin with; 0 for prompts that share nothing.</param>
/// <param name="PromptTokens">Tokens of each of them, or of each prompt.</param>
/// <param name="Requests">Requests in all.</param>
/// <param name="OutputTokens">Tokens of each answer.</param>
/// <param name="Clients">Clients that each ask as soon as they were answered.</param>
public sealed record FleetLoad(int Contexts, int PromptTokens, int Requests, int OutputTokens, int Clients)
{
    private const int QuestionTokens = 24, UnsharedSalt = 7_000;

    /// <summary>Makes the prompts: the same seed and tokenizer, the same prompts in the same order.</summary>
    internal async Task<ImmutableArray<Transcript>> PromptsAsync(ServerUnderTest server, int seed, CancellationToken cancel)
    {
        var writer = new PromptWriter(seed, server.CanTokenize ? server.CountAsync : null);
        var random = new Random(seed);
        var contexts = new string[Contexts];
        for (var i = 0; i < Contexts; i++) contexts[i] = await writer.WriteAsync(PromptTokens, i, 0, cancel);
        var prompts = ImmutableArray.CreateBuilder<Transcript>(Requests);
        for (var i = 0; i < Requests; i++)
            prompts.Add(Contexts == 0
                ? new Transcript("").With(await writer.WriteAsync(PromptTokens, UnsharedSalt + i, 0, cancel))
                : new Transcript(contexts[random.Next(Contexts)]).With(await writer.WriteAsync(QuestionTokens, Contexts + i, 1, cancel)));
        return prompts.MoveToImmutable();
    }

    /// <summary>Sends them: each client takes the next prompt when it has its answer.</summary>
    internal async Task<ImmutableArray<RequestOutcome>> RunAsync(ServerUnderTest server, ImmutableArray<Transcript> prompts, CancellationToken cancel)
    {
        var time = TimeProvider.System;
        var start = time.GetTimestamp();
        var outcomes = new RequestOutcome[prompts.Length];
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => ClientAsync()));
        return [.. outcomes];

        async Task ClientAsync()
        {
            for (int number; (number = Interlocked.Increment(ref next)) < prompts.Length;)
                outcomes[number] = await StreamedRequest.SendAsync(server, prompts[number], OutputTokens, time, start, cancel);
        }
    }
}

/// <summary>What a policy made of a load.</summary>
public sealed record FleetFigures
{
    /// <summary>The policy.</summary>
    public required string Policy { get; init; }
    /// <summary>Requests that were answered.</summary>
    public required int Answered { get; init; }
    /// <summary>Requests that failed.</summary>
    public required int Failed { get; init; }
    /// <summary>From the first request to the last answer.</summary>
    public required double Seconds { get; init; }
    /// <summary>Prompt tokens of answered requests over that time.</summary>
    public required double InputTokensPerSecond { get; init; }
    /// <summary>Generated tokens over that time.</summary>
    public required double OutputTokensPerSecond { get; init; }
    /// <summary>Times to first token, sorted.</summary>
    public required ImmutableArray<double> FirstTokenSeconds { get; init; }
    /// <summary>Share of prompt tokens that workers found in their caches, by their own word.</summary>
    public required double HitRate { get; init; }

    /// <summary>Counts.</summary>
    internal static FleetFigures Of(string policy, ImmutableArray<RequestOutcome> outcomes)
    {
        var answered = outcomes.Where(outcome => outcome.Error is null).ToList();
        var seconds = Math.Max(1e-9, outcomes.Max(outcome => outcome.EndSeconds) - outcomes.Min(outcome => outcome.SentSeconds));
        var prompts = answered.Sum(outcome => (long)outcome.PromptTokens);
        return new FleetFigures
        {
            Policy = policy,
            Answered = answered.Count,
            Failed = outcomes.Length - answered.Count,
            Seconds = seconds,
            InputTokensPerSecond = prompts / seconds,
            OutputTokensPerSecond = answered.Sum(outcome => (long)outcome.OutputTokens) / seconds,
            FirstTokenSeconds = [.. answered.Where(outcome => outcome.FirstTokenSeconds is not null).Select(outcome => outcome.FirstTokenSeconds!.Value).Order()],
            HitRate = prompts == 0 ? 0 : answered.Sum(outcome => (double)outcome.CachedTokens.GetValueOrDefault()) / prompts,
        };
    }
}

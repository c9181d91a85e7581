using System.Collections.Immutable;

namespace Kvasir.Planning.Workloads;

/// <summary>Users in conversation: each turn sends all that was said before and adds to it.</summary>
/// <param name="Users">Users at once.</param>
/// <param name="Turns">Turns of each.</param>
/// <param name="TokensPerTurn">Tokens that a turn adds: half by the user, half by the model.</param>
public sealed record ConversationWorkload(int Users, int Turns, int TokensPerTurn)
{
    /// <summary>Tokens of instructions that all conversations begin with.</summary>
    public int SharedTokens { get; init; }
    /// <summary>Mean seconds between an answer's sending and the next question: reading and typing.</summary>
    public double ThinkSeconds { get; init; } = 30;
    /// <summary>Tokens per second by which the turns' times are foretold; when played, each waits for the answer before.</summary>
    public double AssumedTokensPerSecond { get; init; } = 30;
    /// <summary>Draws the pauses; the same seed gives the same workload.</summary>
    public int Seed { get; init; } = 1;

    private const long MostRequests = 1_000_000, MostTokens = 4_000_000;

    /// <summary>The requests in order of arrival.</summary>
    /// <exception cref="WorkloadException">A number makes no sense.</exception>
    public ImmutableArray<WorkloadRequest> Requests()
    {
        if (Users < 1 || Turns < 1 || TokensPerTurn < 2 || SharedTokens < 0 || !(ThinkSeconds >= 0))
            throw new WorkloadException($"{Users} users with {Turns} turns of {TokensPerTurn} tokens make no workload; all must be positive, a turn at least 2 tokens.");
        if ((long)Users * Turns > MostRequests || ((long)Turns * TokensPerTurn) + SharedTokens > MostTokens)
            throw new WorkloadException($"{Users} users with {Turns} turns of {TokensPerTurn} tokens are more than is worked out: at most {MostRequests} requests and {MostTokens} tokens per conversation.");
        var random = new Random(Seed);
        var requests = new List<WorkloadRequest>(Users * Turns);
        var answer = TokensPerTurn / 2;
        for (var user = 0; user < Users; user++)
        {
            // Users do not all begin at once.
            var time = random.NextDouble() * Math.Max(ThinkSeconds, 1);
            double pause = 0;
            for (var turn = 0; turn < Turns; turn++)
            {
                var prompt = SharedTokens + (turn * TokensPerTurn) + (TokensPerTurn - answer);
                requests.Add(new(time, prompt, answer, Blocks(user, prompt + answer)) { Conversation = user, PauseSeconds = pause });
                pause = -ThinkSeconds * Math.Log(1 - random.NextDouble());
                time += (answer / AssumedTokensPerSecond) + pause;
            }
        }
        return [.. requests.OrderBy(request => request.ArrivalSeconds)];
    }

    // Whole blocks of the instructions are everybody's; later ones the user's own.
    private ImmutableArray<long> Blocks(int user, int tokens) =>
        [.. Enumerable.Range(0, tokens / WorkloadRequest.BlockTokens).Select(block => (block + 1) * WorkloadRequest.BlockTokens <= SharedTokens ? block : ((user + 1L) << 32) + block)];
}

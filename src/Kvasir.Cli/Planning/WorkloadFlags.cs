using System.Collections.Immutable;
using System.CommandLine;
using Kvasir.Planning.Fit;
using Kvasir.Planning.Workloads;

namespace Kvasir.Cli.Planning;

/// <summary>The flags that say what will come in over time.</summary>
public sealed class WorkloadFlags
{
    private readonly Option<string?> _trace = new("--workload") { Description = "Play a trace and show memory over time: JSON lines (timestamp, input_length, output_length, hash_ids) or CSV (TIMESTAMP,ContextTokens,GeneratedTokens).", HelpName = "FILE" };
    private readonly Option<int?> _users = new("--users") { Description = "Play users in conversation instead of a trace.", HelpName = "N" };
    private readonly Option<int> _turns = new("--turns") { Description = "Turns of each conversation.", HelpName = "N", DefaultValueFactory = _ => 10 };
    private readonly Option<int> _tokens = new("--tokens-per-turn") { Description = "Tokens that a turn adds, question and answer.", HelpName = "N", DefaultValueFactory = _ => 800 };
    private readonly Option<int> _shared = new("--shared-tokens") { Description = "Tokens of instructions that all conversations begin with.", HelpName = "N" };

    /// <summary>What was played, in words, and what became of it; null where no workload was asked for or the engine would not start.</summary>
    /// <exception cref="UsageException">A trace and users were both given.</exception>
    /// <exception cref="WorkloadException">The trace cannot be read, or a number makes no sense.</exception>
    public (string Title, WorkloadOutcome Outcome)? Play(ParseResult parse, MemoryPlan plan)
    {
        if (Requests(parse) is not { } workload || !plan.Estimate.Starts || plan.Pool <= 0) return null;
        return (workload.Title, WorkloadPlay.Run(plan, EngineSpeed.Of(plan), workload.Requests));
    }

    /// <summary>Adds the flags to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_trace, _users, _turns, _tokens, _shared]) command.Options.Add(option);
    }

    private (string Title, ImmutableArray<WorkloadRequest> Requests)? Requests(ParseResult parse)
    {
        var users = parse.GetValue(_users);
        if (parse.GetValue(_trace) is not { } trace)
        {
            if (users is not { } count) return null;
            var conversations = new ConversationWorkload(count, parse.GetValue(_turns), parse.GetValue(_tokens)) { SharedTokens = parse.GetValue(_shared) };
            return ($"{conversations.Users} users, {conversations.Turns} turns of {conversations.TokensPerTurn} tokens", conversations.Requests());
        }
        if (users is not null) throw new UsageException("--workload and --users are two workloads; give one of them.");
        return (Path.GetFileName(trace), WorkloadTrace.Read(trace));
    }
}

using System.Collections.Immutable;
using System.Globalization;
using Kvasir.Cli.Load;

namespace Kvasir.Cli.Benchmarks.Fleet;

/// <summary>
/// Starts real workers (<c>kvasir serve</c>) and a gateway as processes of their own, anew for every policy so that no
/// cache is inherited, and sends each policy the same prompts in the same order.
/// </summary>
/// <param name="Model">The checkpoint that every worker serves.</param>
/// <param name="Workers">How many.</param>
/// <param name="HeldContexts">Contexts of the load's size that one worker's KV cache holds.</param>
internal sealed record FleetBenchmark(string Model, int Workers, int HeldContexts)
{
    private const int PromptMargin = 1024;
    private static readonly TimeSpan LongestRequest = TimeSpan.FromMinutes(15);

    /// <summary>Runs a load under policies, <paramref name="rounds"/> times in turns; figures of a policy's median round.</summary>
    public async Task<ImmutableArray<FleetFigures>> RunAsync(FleetLoad load, IReadOnlyList<string> policies, int rounds, int seed, CancellationToken cancel)
    {
        var runs = policies.ToDictionary(policy => policy, _ => new List<FleetFigures>());
        for (var round = 0; round < rounds; round++)
            // Every second round the other way round: what drifts hits both alike.
            foreach (var policy in round % 2 == 0 ? policies : policies.Reverse())
                runs[policy].Add(await RunOnceAsync(load, policy, seed, cancel));
        return [.. policies.Select(policy => runs[policy].OrderBy(figures => figures.InputTokensPerSecond).ElementAt(runs[policy].Count / 2))];
    }

    private async Task<FleetFigures> RunOnceAsync(FleetLoad load, string policy, int seed, CancellationToken cancel)
    {
        var workers = new List<ChildServer>();
        try
        {
            for (var i = 0; i < Workers; i++) workers.Add(await ChildServer.StartAsync(Worker(load), cancel));
            await using var gateway = await ChildServer.StartAsync(["gateway", "--port", "0", "--policy", policy,
                .. workers.SelectMany(worker => new[] { "--worker", $"kvasir={worker.Address.GetLeftPart(UriPartial.Authority)}" })], cancel);
            var form = new RequestForm(null, null, IsChat: false, Temperature: 0, IgnoreEos: true, LongestRequest);
            // Prompts are made with one worker's tokenizer, past the gateway, which learns of none of it.
            using var oracle = await ServerUnderTest.ConnectAsync(new ServerAddress("worker", workers[0].Address, null), form, TimeProvider.System, cancel);
            var prompts = await load.PromptsAsync(oracle, seed, cancel);
            using var server = await ServerUnderTest.ConnectAsync(new ServerAddress("gateway", gateway.Address, null), form, TimeProvider.System, cancel);
            return FleetFigures.Of(policy, await load.RunAsync(server, prompts, cancel));
        }
        finally
        {
            foreach (var worker in workers) await worker.DisposeAsync();
        }
    }

    private string[] Worker(FleetLoad load)
    {
        var context = load.PromptTokens + load.OutputTokens + PromptMargin;
        // The cache holds what all sequences of full length need: this many contexts.
        return ["serve", Model, "--port", "0", "--threads", "1", "--chunk", "512", "--max-body", "16MiB",
            "--context", context.ToString(CultureInfo.InvariantCulture), "--max-seqs", HeldContexts.ToString(CultureInfo.InvariantCulture)];
    }
}

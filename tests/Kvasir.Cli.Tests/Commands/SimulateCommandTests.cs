using System.Text.Json;
using Kvasir.Cli.Tests.Fixtures;
using Kvasir.Gateway.Policies;

namespace Kvasir.Cli.Tests.Commands;

public sealed class SimulateCommandTests
{
    private static readonly string[] Load = ["simulate", "--trace", "rag", "--requests", "200", "--workers", "3", "--cache", "0.05"];

    [Fact]
    public void All_policies_come_as_JSON_in_the_catalogue_s_order_and_equal_seeds_give_equal_text()
    {
        var outcome = CommandLine.Run([.. Load, "--json"]);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        using var json = JsonDocument.Parse(outcome.Output);
        var policies = json.RootElement.GetProperty("policies").EnumerateArray().ToArray();
        Assert.Equal(PolicyCatalog.Names, policies.Select(policy => policy.GetProperty("policy").GetString()));
        string[] figures = ["ttft_mean_seconds", "ttft_p50_seconds", "ttft_p99_seconds", "tpot_mean_seconds", "hit_rate", "output_tokens_per_second"];
        Assert.All(policies, policy => Assert.All(figures, figure => Assert.True(policy.GetProperty(figure).GetDouble() >= 0)));
        Assert.Equal(outcome.Output, CommandLine.Run([.. Load, "--json"]).Output);
        Assert.NotEqual(outcome.Output, CommandLine.Run([.. Load, "--json", "--eviction", "lru"]).Output);
    }

    [Fact]
    public void An_eviction_policy_that_there_is_not_is_named()
    {
        var outcome = CommandLine.Run([.. Load, "--eviction", "lifo"]);
        Assert.Equal(2, outcome.Code);
        Assert.Contains("--eviction 'lifo' is not known; lru, slru and arc are.", outcome.Error, StringComparison.Ordinal);
    }
}

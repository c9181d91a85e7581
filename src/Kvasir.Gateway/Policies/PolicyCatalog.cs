namespace Kvasir.Gateway.Policies;

/// <summary>The policies by name.</summary>
public static class PolicyCatalog
{
    /// <summary>The name of the default.</summary>
    public const string Default = "kvasir";

    private static readonly IRoutingPolicy[] All =
    [
        new SecondsPolicy(), new RoundRobinPolicy(), new RandomPolicy(), new LeastRequestsPolicy(), new PowerOfTwoPolicy(),
        new ConsistentHashPolicy(), new SessionPolicy(), new SglangCacheAwarePolicy(), new LlmdPolicy(), new DynamoPolicy(),
    ];

    /// <summary>Every name, the default first.</summary>
    public static IEnumerable<string> Names => All.Select(policy => policy.Name);

    /// <summary>The policy of that name, or null.</summary>
    public static IRoutingPolicy? Find(string name) => All.FirstOrDefault(policy => policy.Name == name);
}

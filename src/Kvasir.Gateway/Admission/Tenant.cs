namespace Kvasir.Gateway.Admission;

/// <summary>Who is served first where requests wait for room.</summary>
public enum RequestPriority
{
    /// <summary>Before all others.</summary>
    High,
    /// <summary>The usual.</summary>
    Normal,
    /// <summary>Whenever nothing else waits.</summary>
    Low,
}

/// <summary>Somebody who may send requests, and how many. The key itself is never kept, only its hash.</summary>
public sealed record Tenant
{
    /// <summary>Who asks where no keys are configured.</summary>
    public static readonly Tenant Anyone = new() { Name = "anyone", KeyHash = "" };

    /// <summary>The name in metrics and errors.</summary>
    public required string Name { get; init; }
    /// <summary>SHA-256 of the key, 64 lower-case hexadecimal digits.</summary>
    public required string KeyHash { get; init; }
    /// <summary>Whether it may see and drain workers from other machines.</summary>
    public bool IsAdmin { get; init; }
    /// <summary>Whose requests go first where they wait for room.</summary>
    public RequestPriority Priority { get; init; } = RequestPriority.Normal;
    /// <summary>Share of what is served to tenants of one priority that wait, against the others' weights.</summary>
    public double Weight { get; init; } = 1;
    /// <summary>Requests per minute, or null for any number.</summary>
    public double? RequestsPerMinute { get; init; }
    /// <summary>Prompt and answer tokens per minute, or null for any number.</summary>
    public double? TokensPerMinute { get; init; }
}

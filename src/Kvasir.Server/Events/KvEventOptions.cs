namespace Kvasir.Server.Events;

/// <summary>Where KV events are published.</summary>
/// <param name="Address">ZeroMQ address of the PUB socket: <c>tcp://*:5557</c>.</param>
/// <param name="ReplayAddress">Address of the ROUTER socket at which lost messages may be asked for, or null for none.</param>
/// <param name="Topic">Topic of every message.</param>
public sealed record KvEventOptions(string Address, string? ReplayAddress = null, string Topic = "")
{
    /// <summary>Messages kept for those who ask for them again.</summary>
    public int MostKept { get; init; } = 10_000;

    /// <summary>Bytes of messages kept; the oldest go first.</summary>
    public long MostKeptBytes { get; init; } = 32L << 20;
}

namespace Kvasir.Engine.Scheduling;

/// <summary>Whose requests share a turn in the queue, and what they have had.</summary>
/// <param name="name">Its name; empty for requests without a tenant.</param>
internal sealed class Tenant(string name)
{
    public string Name { get; } = name;

    /// <summary>Tokens computed for it, as fair queueing counts them: who was away begins level with those that were not.</summary>
    public long Served { get; set; }

    /// <summary>Requests of it that run or wait.</summary>
    public int Requests { get; set; }
}

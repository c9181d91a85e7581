namespace Kvasir.Planning.Engines;

/// <summary>How an engine lays keys, values and states out in the pool it has on each GPU.</summary>
public abstract record KvLayout
{
    /// <summary>Bytes that one further token costs per GPU while no window is full.</summary>
    public required long BytesPerToken { get; init; }

    /// <summary>Bytes of the pool that one request of so many tokens takes at most.</summary>
    public abstract long RequestBytes(long tokens);

    /// <summary>Tokens that a pool holds, as the engine itself prints them at start.</summary>
    /// <param name="poolBytes">Bytes for the cache on each GPU.</param>
    /// <param name="context">The longest request, which some engines' figure depends on.</param>
    public abstract long CapacityTokens(long poolBytes, long context);

    /// <summary>How many requests of so many tokens fit at once.</summary>
    public virtual double Concurrency(long poolBytes, long tokens) => RequestBytes(tokens) is > 0 and var bytes ? Math.Max(0, poolBytes) / (double)bytes : double.PositiveInfinity;

    /// <summary>The longest request that fits, at most <paramref name="limit"/>: a search, since windows and states make it no division.</summary>
    public long MaxContext(long poolBytes, long limit)
    {
        if (poolBytes <= 0) return 0;
        long low = 0, high = limit;
        while (low < high)
        {
            var middle = low + ((high - low + 1) / 2);
            if (RequestBytes(middle) <= poolBytes) low = middle;
            else high = middle - 1;
        }
        return low;
    }
}

/// <summary>Blocks of so many tokens, the same bytes for every layer and token.</summary>
public sealed record PagedKvLayout : KvLayout
{
    /// <summary>Tokens per block.</summary>
    public required int BlockTokens { get; init; }
    /// <summary>Bytes per request whatever its length.</summary>
    public long RequestConstantBytes { get; init; }
    /// <summary>Share of the pool that the engine keeps for states of requests rather than tokens.</summary>
    public double StateShare { get; init; }

    /// <inheritdoc/>
    public override long RequestBytes(long tokens)
    {
        var cached = (tokens + BlockTokens - 1) / BlockTokens * BlockTokens * BytesPerToken;
        // Where the pool is divided beforehand, a request needs so much that its share of either part suffices.
        return StateShare > 0 ? (long)Math.Max(cached / (1 - StateShare), RequestConstantBytes / StateShare) : cached + RequestConstantBytes;
    }

    /// <inheritdoc/>
    public override long CapacityTokens(long poolBytes, long context) =>
        BytesPerToken == 0 ? 0 : Math.Max(0, (long)(poolBytes * (1 - StateShare))) / BytesPerToken / BlockTokens * BlockTokens;
}

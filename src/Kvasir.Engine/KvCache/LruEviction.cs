namespace Kvasir.Engine.KvCache;

/// <summary>Least recently used first.</summary>
public sealed class LruEviction : IEvictionPolicy
{
    private readonly BlockLinks _links;
    private readonly BlockList _idle = new();

    /// <param name="blocks">Blocks of the pool.</param>
    public LruEviction(int blocks) => _links = new BlockLinks(blocks);

    /// <inheritdoc/>
    public int Count => _idle.Count;

    /// <inheritdoc/>
    public void Add(int block, UInt128 name) => _links.Append(_idle, block);

    /// <inheritdoc/>
    public void Reuse(int block)
    {
        if (_links.ListOf(block) is not null) _links.Remove(block);
    }

    /// <inheritdoc/>
    public void Drop(int block) => _links.Remove(block);

    /// <inheritdoc/>
    public int Evict() => _idle.Count == 0 ? -1 : _links.TakeFirst(_idle);
}

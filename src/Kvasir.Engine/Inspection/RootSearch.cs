using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Inspection;

/// <summary>Finds whose blocks are by following each to its text's beginning, in whatever tier the blocks between are.</summary>
internal sealed class RootSearch
{
    private readonly Dictionary<UInt128, UInt128> _parents = [];
    private readonly Dictionary<UInt128, UInt128> _found = [];
    private readonly List<UInt128> _path = [];

    /// <param name="entries">Everything that is here.</param>
    /// <param name="roots">What texts are known to begin with.</param>
    public RootSearch(IReadOnlyList<KvEntry> entries, IReadOnlySet<UInt128> roots)
    {
        foreach (var entry in entries)
            if (entry.Name != 0) _parents[entry.Name] = entry.Parent;
        foreach (var root in roots) _found[root] = root;
    }

    /// <summary>What the text of a block begins with; 0 where its beginning is gone or was not heard of.</summary>
    public UInt128 Of(in KvEntry entry)
    {
        var name = entry.Parent;
        UInt128 root;
        _path.Clear();
        for (; !_found.TryGetValue(name, out root); name = _parents[name])
        {
            _path.Add(name);
            if (!_parents.ContainsKey(name)) break;
        }
        foreach (var passed in _path) _found[passed] = root;
        return root;
    }
}

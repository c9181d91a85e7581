using Kvasir.Engine.Inspection;

namespace Kvasir.Engine.KvCache;

/// <summary>What is to be deleted: everything, one tenant's, or a block with all that follows it and what leads to it alone.</summary>
/// <param name="Root">What the tenant's texts begin with, or null.</param>
/// <param name="Prefix">Name of the block, or null.</param>
internal readonly record struct KvSelection(UInt128? Root, UInt128? Prefix)
{
    public bool IsAll => Root is null && Prefix is null;
}

/// <summary>What a deletion did.</summary>
/// <param name="DeviceBlocks">Blocks that cannot be found on the device any more; those that requests hold are theirs until they end.</param>
/// <param name="HostBlocks">Blocks deleted in host memory.</param>
/// <param name="DiskBlocks">Blocks deleted on disk.</param>
/// <param name="Pins">Pins ended.</param>
/// <param name="RequestsKeeping">Requests that go on with what they hold.</param>
public sealed record KvDeletion(int DeviceBlocks, int HostBlocks, int DiskBlocks, int Pins, int RequestsKeeping);

/// <summary>Deleting what is kept, in all tiers.</summary>
internal sealed partial class PrefixCache
{
    /// <summary>Deletes. Requests keep what they hold, and what they compute with it is not kept after them.</summary>
    /// <param name="selection">What.</param>
    /// <param name="tables">The tables of all requests.</param>
    public KvDeletion Delete(KvSelection selection, IEnumerable<BlockTable> tables)
    {
        // What is on its way to the disk is there before it is looked for.
        _tiers?.Settle();
        var entries = Entries();
        var doomed = Doomed(selection, entries);
        var pins = _pins.Where(pin => doomed.Contains(pin.Name) || pin.Table.AllHeld().Any(block => doomed.Contains(KvGroups.Block(_index.NameOf(block))))).Select(pin => pin.Name).ToArray();
        foreach (var pin in pins) Unpin(pin);
        var gone = new HashSet<int>();
        for (var block = 0; block < _pool.Capacity; block++)
        {
            // A block that is not full goes with what it follows.
            var isDoomed = _index.CountOf(block) > 0 && (selection.IsAll || doomed.Contains(KvGroups.Block(_index.NameOf(block) is var name && name != 0 ? name : _index.ParentOf(block))) || _records.RootOf(block) == selection.Root);
            if (!isDoomed) continue;
            gone.Add(block);
            NoteLeft(block, EvictionReason.Deleted);
            Unlist(block);
            _pool.Forget(block);
        }
        var keeping = 0;
        foreach (var table in tables)
        {
            if (table.Held == 0 || !(selection.IsAll || table.Root == selection.Root || table.AllHeld().Any(gone.Contains))) continue;
            keeping++;
            Disown(table);
        }
        var (host, disk) = _tiers?.Delete(selection.IsAll ? null : doomed) ?? (0, 0);
        return new KvDeletion(gone.Count, host, disk, pins.Length, keeping);
    }

    private HashSet<UInt128> Doomed(KvSelection selection, List<KvEntry> entries)
    {
        var names = entries.Where(entry => entry.Name != 0);
        if (selection.IsAll) return [.. names.Select(entry => entry.Name)];
        var known = new HashSet<UInt128>(_records.Roots) { selection.Root ?? selection.Prefix!.Value, TenantName.Root(null) };
        // Whose text's beginning is gone may be anybody's, and nobody can use it.
        var roots = new RootSearch(entries, known);
        if (selection.Root is { } root) return [.. names.Where(entry => roots.Of(entry) is var found && (found == root || found == 0)).Select(entry => entry.Name)];
        var doomed = names.Where(entry => entry.Name == selection.Prefix || roots.Of(entry) == selection.Prefix).Select(entry => entry.Name).ToHashSet();
        var parents = names.DistinctBy(entry => entry.Name).ToDictionary(entry => entry.Name, entry => entry.Parent);
        var followers = parents.Values.GroupBy(parent => parent).ToDictionary(group => group.Key, group => group.Count());
        for (var name = selection.Prefix!.Value; parents.TryGetValue(name, out var parent) && followers[parent] == 1 && parents.ContainsKey(parent); name = parent) doomed.Add(parent);
        return doomed;
    }

    /// <summary>Nothing that a request computes from now on is shared.</summary>
    private void Disown(BlockTable table)
    {
        for (var i = table.Announced.From; i < table.Announced.To; i++) Withdraw(table, table.Parent(i + 1));
        table.Announced = default;
        table.IsDisowned = true;
        table.Loaded = table.Loadable = table.Listed;
    }
}

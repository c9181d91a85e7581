using System.Collections.Immutable;
using System.Globalization;
using Kvasir.Engine.KvCache;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Engine.Inspection;

/// <summary>What is cached, as the trees that texts with common beginnings form, and what is pinned.</summary>
/// <param name="Prefixes">Nodes of the trees, the last used first; every full block is in exactly one.</param>
/// <param name="Pins">Pins, the oldest first.</param>
public sealed record KvListing(ImmutableArray<CachedPrefix> Prefixes, ImmutableArray<KvPin> Pins)
{
    /// <summary>Builds the trees.</summary>
    internal static KvListing Of(List<KvEntry> entries, IReadOnlySet<UInt128> roots, ImmutableArray<KvPin> pins)
    {
        var search = new RootSearch(entries, roots);
        // Where layers are in groups, the first stands for all: it keeps blocks longest.
        var blocks = entries.Where(entry => entry.Name != 0 && entry.Group == 0).GroupBy(entry => entry.Name).ToDictionary(block => block.Key, block => block.ToArray());
        var followers = blocks.Values.GroupBy(block => block[0].Parent).ToDictionary(group => group.Key, group => group.Select(block => block[0].Name).ToArray());
        var nodes = ImmutableArray.CreateBuilder<CachedPrefix>();
        // Texts' beginnings, and what became one because the block before it is gone; deep trees must not be a deep stack.
        var open = new Stack<(UInt128 First, int Before, string? Parent)>(blocks.Values.Where(block => !blocks.ContainsKey(block[0].Parent)).Select(block => (block[0].Name, 0, (string?)null)));
        while (open.TryPop(out var start))
        {
            var run = new List<KvEntry[]>();
            var next = new[] { start.First };
            while (next.Length == 1)
            {
                run.Add(blocks[next[0]]);
                next = followers.GetValueOrDefault(next[0], []);
            }
            var node = Node(run, start.Before, start.Parent, search);
            nodes.Add(node);
            foreach (var follower in next) open.Push((follower, start.Before + node.Tokens, node.Id));
        }
        return new KvListing([.. nodes.OrderBy(node => node.InUse ? -1 : node.IdleSeconds ?? double.MaxValue).ThenBy(node => node.Id, StringComparer.Ordinal)], pins);
    }

    internal static string Id(UInt128 name) => name.ToString("x32", CultureInfo.InvariantCulture);

    private static CachedPrefix Node(List<KvEntry[]> run, int before, string? parent, RootSearch search)
    {
        var root = search.Of(run[0][0]);
        var device = run.SelectMany(block => block).Where(entry => entry.Tier == KvTier.Device).ToArray();
        return new CachedPrefix(Id(run[^1][0].Name), parent, root == 0 ? TenantName.Unknown : TenantName.Of(root), before, run.Count * BlockTable.BlockTokens,
            device.Length, Count(KvTier.Host), Count(KvTier.Disk), device.Any(entry => entry.Holders > entry.Pins), device.Any(entry => entry.Pins > 0),
            device.Length == 0 ? null : device.Min(entry => entry.IdleSeconds));

        int Count(KvTier tier) => run.Sum(block => block.Count(entry => entry.Tier == tier));
    }
}

/// <summary>Blocks that follow one another without a branch.</summary>
/// <param name="Id">Name of the last block: 32 hexadecimal digits.</param>
/// <param name="Parent">Id of what it follows; null where a text begins, or where what is before is gone.</param>
/// <param name="Tenant">See <see cref="TenantName"/>.</param>
/// <param name="TokensBefore">Tokens before it, as far as they are cached.</param>
/// <param name="Tokens">Its tokens.</param>
/// <param name="DeviceBlocks">How many of its blocks are on the device; a block may be in several tiers.</param>
/// <param name="HostBlocks">In host memory.</param>
/// <param name="DiskBlocks">On disk.</param>
/// <param name="InUse">Whether requests hold a part of it.</param>
/// <param name="IsPinned">Whether pins hold a part of it.</param>
/// <param name="IdleSeconds">Since a request left it last; null where it is below the device alone.</param>
public sealed record CachedPrefix(
    string Id, string? Parent, string Tenant, int TokensBefore, int Tokens, int DeviceBlocks, int HostBlocks, int DiskBlocks, bool InUse, bool IsPinned, double? IdleSeconds);

/// <summary>A pinned prefix.</summary>
/// <param name="Id">Name of its last block: 32 hexadecimal digits.</param>
/// <param name="Tenant">Whose it is.</param>
/// <param name="Tokens">Tokens held: those of the text that fill blocks.</param>
/// <param name="Bytes">Their keys and values.</param>
/// <param name="SecondsLeft">Until it ends; null for never.</param>
public sealed record KvPin(string Id, string Tenant, int Tokens, long Bytes, double? SecondsLeft);

/// <summary>A pin that was made.</summary>
/// <param name="Pin">The pin.</param>
/// <param name="ComputedTokens">Tokens that had to be computed for it.</param>
/// <param name="PinnedBytes">What pins hold now in all.</param>
/// <param name="LimitBytes">What pins may hold.</param>
public sealed record PinOutcome(KvPin Pin, int ComputedTokens, long PinnedBytes, long LimitBytes);

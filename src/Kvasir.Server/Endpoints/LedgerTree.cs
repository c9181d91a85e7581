using Kvasir.Engine;
using Kvasir.Engine.Inspection;
using Kvasir.Protocol.Memory;

namespace Kvasir.Server.Endpoints;

/// <summary>The ledger's lines as a tree: "kv/device" is the device's part of the owner "kv".</summary>
internal static class LedgerTree
{
    private const string Device = "kv/device";

    public static MemoryNode Of(IEnumerable<LedgerLine> lines, TierUse device) => Node("reserved", [.. lines.Select(line => (line.Name, line.Name.Split('/'), line.Bytes))], 0, device);

    private static MemoryNode Node(string name, IReadOnlyList<(string Line, string[] Path, long Bytes)> lines, int depth, TierUse device)
    {
        MemoryNode[] children = [.. lines.Where(line => line.Path.Length > depth).GroupBy(line => line.Path[depth])
            .Select(part => Node(part.Key, [.. part], depth + 1, device)).OrderByDescending(part => part.Bytes).ThenBy(part => part.Name, StringComparer.Ordinal)];
        var isDevice = children.Length == 0 && lines is [{ Line: Device }];
        return new MemoryNode(name, lines.Sum(line => line.Bytes), isDevice ? Parts(device) : children);
    }

    private static MemoryNode[] Parts(TierUse device) =>
        [new("in_use", device.InUseBytes, []), new("pinned", device.PinnedBytes, []), new("cached", device.CachedBytes, []), new("free", device.FreeBytes, [])];
}

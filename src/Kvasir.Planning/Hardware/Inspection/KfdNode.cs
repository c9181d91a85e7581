using System.Collections.Immutable;
using System.Globalization;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>One GPU as AMD's compute driver (KFD) describes it under /sys/class/kfd.</summary>
/// <param name="GpuId">The driver's number, which names its files.</param>
/// <param name="Target">"gfx942".</param>
/// <param name="Minor">Number of its render node, renderD128 and up; null where unknown.</param>
/// <param name="UniqueId">Serial number; null where the card has none.</param>
internal sealed record KfdNode(long GpuId, string Target, long? Minor, ulong? UniqueId)
{
    private const string Topology = "sys/class/kfd/kfd/topology/nodes";

    /// <summary>All nodes that are GPUs.</summary>
    public static ImmutableArray<KfdNode> ReadAll(SystemTree tree) =>
        [.. tree.Names(Topology).Select(name => Read(tree, $"{Topology}/{name}")).OfType<KfdNode>()];

    /// <summary>Who holds memory of the GPU, the largest first.</summary>
    public static ImmutableArray<GpuProcess> Processes(SystemTree tree, KfdNode node)
    {
        var holders = new List<GpuProcess>();
        foreach (var name in tree.Names("sys/class/kfd/kfd/proc"))
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id)) continue;
            if (tree.Number($"sys/class/kfd/kfd/proc/{name}/vram_{node.GpuId}") is { } bytes and > 0) holders.Add(new GpuProcess(id, tree.ProcessName(id), bytes));
        }
        return [.. holders.OrderByDescending(holder => holder.Bytes)];
    }

    /// <summary>"gfx90a" of 90010: major, minor and stepping in two decimal digits each, printed in hexadecimal.</summary>
    public static string TargetName(long version) =>
        string.Create(CultureInfo.InvariantCulture, $"gfx{version / 10000}{version / 100 % 100:x}{version % 100:x}");

    private static KfdNode? Read(SystemTree tree, string folder)
    {
        if (tree.Number($"{folder}/gpu_id") is not { } gpu || gpu == 0) return null;
        var fields = tree.Lines($"{folder}/properties").Select(line => line.Split(' ', 2)).Where(parts => parts.Length == 2)
            .DistinctBy(parts => parts[0]).ToDictionary(parts => parts[0], parts => parts[1]);
        if (Value("gfx_target_version") is not { } version || version == 0) return null;
        var serial = fields.TryGetValue("unique_id", out var text) && ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id != 0 ? id : (ulong?)null;
        return new KfdNode(gpu, TargetName(version), Value("drm_render_minor"), serial);

        long? Value(string field) => fields.TryGetValue(field, out var number) && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : null;
    }
}

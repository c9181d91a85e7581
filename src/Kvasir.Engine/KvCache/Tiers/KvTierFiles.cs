using System.IO.Hashing;
using System.Text;
using Kvasir.Checkpoints;
using Kvasir.Kernels;

namespace Kvasir.Engine.KvCache.Tiers;

/// <summary>Opens the tiers that a plan has.</summary>
internal static class KvTierFiles
{
    private const int SamplesPerTensor = 16;

    /// <summary>Opens the tiers; null when the plan has none.</summary>
    /// <param name="checkpoint">The model, whose weights name the folder on disk.</param>
    /// <param name="plan">How many blocks each holds.</param>
    /// <param name="options">Where.</param>
    /// <param name="device">The blocks above.</param>
    /// <param name="own">Takes what must be disposed.</param>
    /// <param name="wake">Called when something was written.</param>
    /// <param name="events">Told of what the tiers hold; null for nobody.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="KvTierException">The folder cannot be used.</exception>
    public static KvTiers? Open(Checkpoint checkpoint, EngineMemoryPlan plan, EngineOptions options, KvMemory device, Action<IDisposable> own, Action wake, KvEventLog? events, TimeProvider time)
    {
        if (plan.HostBlocks == 0 && plan.DiskBlocks == 0) return null;
        var digest = options.KvDisk is null && options.KvRemote is null ? default : Digest(checkpoint, options.KvFormat);
        HostTier? host = null;
        DiskTier? disk = null;
        if (plan.HostBlocks > 0)
        {
            var memory = new NativeBuffer(plan.Bytes(EngineMemoryPlan.HostLine));
            own(memory);
            host = new HostTier(device, memory.All, time, options.TenantKvShare);
        }
        if (options.KvDisk is { } place)
        {
            var buffers = new NativeBuffer((long)DiskTier.Buffers * device.BlockBytes);
            own(buffers);
            var folder = Path.Combine(place.Folder, digest.ToString("x32", System.Globalization.CultureInfo.InvariantCulture));
            var pages = DiskPages.Open(folder, digest, device.BlockBytes, plan.DiskBlocks, place.Key, time);
            disk = new DiskTier(device, pages, plan.DiskBlocks, buffers.All, options.Warn, wake, time, options.TenantKvShare);
        }
        var remote = options.KvRemote is { } server ? new RemoteTier(device, host!, RemoteStore.Open(server, digest), options.Warn, wake) : null;
        var tiers = new KvTiers(host, disk, device.BlockBytes, events, remote);
        own(tiers);
        return tiers;
    }

    /// <summary>
    /// Names what keys and values depend on: the checkpoint's headers, samples from every tensor (models tuned from one
    /// another share their headers) and how blocks are stored.
    /// </summary>
    private static UInt128 Digest(Checkpoint checkpoint, KvFormats format)
    {
        var hash = new XxHash128();
        hash.Append(Encoding.UTF8.GetBytes($"{checkpoint.Digest} {format} {BlockTable.BlockTokens}"));
        foreach (var tensor in checkpoint.AllTensors)
        {
            for (var i = 0; i < SamplesPerTensor; i++) hash.Append(checkpoint.Bytes(new TensorView(tensor), (tensor.Rows - 1) * i / (SamplesPerTensor - 1), 1));
        }
        return hash.GetCurrentHashAsUInt128();
    }
}

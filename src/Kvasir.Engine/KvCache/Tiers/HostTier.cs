using Kvasir.Kernels;

namespace Kvasir.Engine.KvCache.Tiers;

/// <summary>
/// Blocks that gave way on the device, kept in main memory as they were. Storing and loading are copies on the engine's
/// thread: a block takes microseconds, computing it takes milliseconds.
/// </summary>
internal sealed class HostTier
{
    private readonly KvMemory _device;
    private readonly NativeSlice _memory;
    private readonly bool[] _isRemote;

    /// <param name="device">Where blocks come from and go to.</param>
    /// <param name="memory">The tier's memory; as many places as it has room for.</param>
    /// <param name="time">The clock; the system's when null.</param>
    /// <param name="tenantShare">See <see cref="TierSlots"/>.</param>
    public HostTier(KvMemory device, NativeSlice memory, TimeProvider? time = null, double tenantShare = 1)
    {
        (_device, _memory) = (device, memory);
        Slots = new TierSlots((int)(memory.Bytes / device.BlockBytes), time, tenantShare);
        _isRemote = new bool[Slots.Capacity];
    }

    public TierSlots Slots { get; }

    /// <summary>Takes a copy of a block, unless it is here.</summary>
    /// <returns>Whether it was copied.</returns>
    public bool Store(int block, UInt128 name, UInt128 parent, ReadOnlySpan<int> tokens, in BlockClaim claim)
    {
        if (Slots.Find(name, parent, tokens) is var known and >= 0)
        {
            Slots.Touch(known, claim.Retention);
            return false;
        }
        var slot = Slots.Take();
        _device.Save(block, Bytes(slot));
        _isRemote[slot] = false;
        return Slots.Put(slot, name, parent, tokens, claim);
    }

    /// <summary>Takes a block that came from a server, unless it is here.</summary>
    /// <param name="bytes">The block, as the device saves it.</param>
    /// <param name="label">What it is.</param>
    /// <returns>Whether it was taken.</returns>
    public bool Store(ReadOnlySpan<byte> bytes, in PageLabel label)
    {
        if (Slots.Find(label.Name, label.Parent, label.Tokens) >= 0) return false;
        var slot = Slots.Take();
        bytes.CopyTo(Bytes(slot));
        _isRemote[slot] = true;
        return Slots.Put(slot, label.Name, label.Parent, label.Tokens, label.Claim);
    }

    /// <summary>Whether what a place holds came from a server.</summary>
    public bool IsRemote(int slot) => _isRemote[slot];

    /// <summary>Moves what a place holds to a block: what is above need not be here.</summary>
    public void Load(int slot, int block)
    {
        _device.Load(block, Bytes(slot));
        Slots.Drop(slot);
    }

    private Span<byte> Bytes(int slot) => _memory.AsSpan((long)slot * _device.BlockBytes, _device.BlockBytes);
}

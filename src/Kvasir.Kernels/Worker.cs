namespace Kvasir.Kernels;

/// <summary>One member of a <see cref="WorkerTeam"/>, passed to the work it runs. Every worker must reach the same barriers and loops in the same order.</summary>
public sealed class Worker : IDisposable
{
    private readonly WorkerTeam _team;
    private readonly int[] _taken = new int[WorkerTeam.LoopSlots];
    private NativeBuffer? _scratch;
    private int _slot;
    private int _loopsSinceBarrier;

    internal Worker(WorkerTeam team, int index) => (_team, Index) = (team, index);

    /// <summary>0 … Count − 1.</summary>
    public int Index { get; }

    /// <summary>Workers in the team.</summary>
    public int Count => _team.Count;

    /// <summary>Waits until every worker of the team is here.</summary>
    public void Barrier()
    {
        _team.Barrier();
        _loopsSinceBarrier = 0;
    }

    /// <summary>This worker's share [first, first + count) of <paramref name="total"/> items, split evenly.</summary>
    public (int First, int Count) Share(int total)
    {
        var first = (int)((long)total * Index / Count);
        return (first, (int)((long)total * (Index + 1) / Count) - first);
    }

    /// <summary>Begins a loop whose chunks go to whoever is free; every worker of the team must begin it.</summary>
    /// <remarks>
    /// Slots are reused in a ring without being reset: each loop hands out exactly chunks + workers numbers (each worker
    /// draws one that is past the end), so every worker knows where a slot's next loop starts counting.
    /// </remarks>
    public SharedLoop Loop(int chunks)
    {
        if (++_loopsSinceBarrier == WorkerTeam.LoopSlots) Barrier();
        var slot = _slot;
        _slot = (_slot + 1) % WorkerTeam.LoopSlots;
        var origin = _taken[slot];
        _taken[slot] = origin + chunks + Count;
        return new SharedLoop(_team, slot, origin, chunks);
    }

    /// <summary>Memory of this worker alone, valid until the next call; grows and is kept.</summary>
    internal NativeSlice Scratch(long bytes)
    {
        if (_scratch is null || _scratch.Bytes < bytes)
        {
            _scratch?.Dispose();
            _scratch = new NativeBuffer(bytes + (bytes >> 1));
        }

        return _scratch.Slice(0, bytes);
    }

    internal void Restart()
    {
        Array.Clear(_taken);
        _slot = 0;
        _loopsSinceBarrier = 0;
    }

    /// <summary>Frees the worker's scratch memory; the team does it when it is disposed.</summary>
    public void Dispose() => _scratch?.Dispose();
}

/// <summary>A loop shared by a team: <c>while (loop.TryNext(out var chunk)) …</c></summary>
public readonly struct SharedLoop
{
    private readonly WorkerTeam _team;
    private readonly int _slot;
    private readonly int _origin;
    private readonly int _chunks;

    internal SharedLoop(WorkerTeam team, int slot, int origin, int chunks) =>
        (_team, _slot, _origin, _chunks) = (team, slot, origin, chunks);

    /// <summary>Takes the next chunk nobody has taken; false when none is left (then ask no more).</summary>
    public bool TryNext(out int chunk)
    {
        chunk = _team.Ticket(_slot) - _origin;
        return chunk < _chunks;
    }
}

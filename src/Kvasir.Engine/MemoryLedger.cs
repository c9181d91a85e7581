using System.Collections.Immutable;
using Kvasir.Checkpoints;

namespace Kvasir.Engine;

/// <summary>A reservation does not fit the budget. The message says what was asked for, what is free and what would help.</summary>
public sealed class MemoryBudgetException : Exception
{
    /// <summary>Creates the error with its numbers.</summary>
    public MemoryBudgetException(string name, long neededBytes, long freeBytes, string remedy)
        : base($"{name} needs {new ByteSize(neededBytes)}, but {new ByteSize(freeBytes)} of the memory budget is free. {remedy}") =>
        (NeededBytes, FreeBytes) = (neededBytes, freeBytes);

    /// <summary>Bytes asked for.</summary>
    public long NeededBytes { get; }

    /// <summary>Bytes that were free.</summary>
    public long FreeBytes { get; }
}

/// <summary>One line of the ledger.</summary>
/// <param name="Name">Owner, with slashes from the general to the particular: "weights", "kv/device".</param>
/// <param name="Bytes">Bytes reserved.</param>
public readonly record struct LedgerLine(string Name, long Bytes);

/// <summary>
/// Every long-lived byte of the engine, reserved under its owner's name before it is allocated. The sum never exceeds
/// the budget. Safe for use from several threads.
/// </summary>
public sealed class MemoryLedger
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, long> _lines = new(StringComparer.Ordinal);
    private long _used;

    /// <param name="budgetBytes">Bytes that may be reserved in all.</param>
    public MemoryLedger(long budgetBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(budgetBytes);
        BudgetBytes = budgetBytes;
    }

    /// <summary>Bytes that may be reserved in all.</summary>
    public long BudgetBytes { get; }

    /// <summary>Bytes reserved now.</summary>
    public long UsedBytes
    {
        get { lock (_lock) return _used; }
    }

    /// <summary>Bytes that can still be reserved.</summary>
    public long FreeBytes => BudgetBytes - UsedBytes;

    /// <summary>Reserves bytes until the result is disposed.</summary>
    /// <param name="name">The owner.</param>
    /// <param name="bytes">How much.</param>
    /// <param name="remedy">What the user can do when it does not fit, as a sentence.</param>
    /// <exception cref="MemoryBudgetException">It does not fit; nothing was reserved.</exception>
    public MemoryReservation Reserve(string name, long bytes, string remedy = "Raise --memory.")
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        lock (_lock)
        {
            if (bytes > BudgetBytes - _used) throw new MemoryBudgetException(name, bytes, BudgetBytes - _used, remedy);
            _used += bytes;
            _lines[name] = _lines.GetValueOrDefault(name) + bytes;
        }
        return new MemoryReservation(this, name, bytes);
    }

    /// <summary>The lines with bytes in them, by name.</summary>
    public ImmutableArray<LedgerLine> Lines()
    {
        lock (_lock) return [.. _lines.Select(line => new LedgerLine(line.Key, line.Value))];
    }

    internal void Release(string name, long bytes)
    {
        lock (_lock)
        {
            _used -= bytes;
            var left = _lines[name] - bytes;
            if (left == 0) _lines.Remove(name); else _lines[name] = left;
        }
    }
}

/// <summary>Bytes held in a <see cref="MemoryLedger"/> until disposal.</summary>
public sealed class MemoryReservation : IDisposable
{
    private readonly MemoryLedger _ledger;
    private int _released;

    internal MemoryReservation(MemoryLedger ledger, string name, long bytes) => (_ledger, Name, Bytes) = (ledger, name, bytes);

    /// <summary>The owner.</summary>
    public string Name { get; }

    /// <summary>Bytes held.</summary>
    public long Bytes { get; }

    /// <summary>Gives the bytes back, once.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _released, 1) == 0) _ledger.Release(Name, Bytes);
    }
}

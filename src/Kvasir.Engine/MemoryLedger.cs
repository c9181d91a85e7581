using System.Collections.Immutable;
using Kvasir.Checkpoints;

namespace Kvasir.Engine;

/// <summary>A reservation does not fit the budget. The message says what was asked for, what is free and what would help.</summary>
public sealed class MemoryBudgetException : Exception
{
    /// <summary>Creates the error with its numbers.</summary>
    public MemoryBudgetException(string name, long neededBytes, long freeBytes, string remedy)
        : base($"{name} needs {new ByteSize(neededBytes)}, but {new ByteSize(freeBytes)} of the memory budget is free. {remedy}") =>
        (NeededBytes, FreeBytes, Remedy) = (neededBytes, freeBytes, remedy);

    /// <summary>Bytes asked for.</summary>
    public long NeededBytes { get; }

    /// <summary>Bytes that were free.</summary>
    public long FreeBytes { get; }

    /// <summary>What can be done, as sentences.</summary>
    public string Remedy { get; }
}

/// <summary>One line of the ledger.</summary>
/// <param name="Name">Owner, with slashes from the general to the particular: "weights", "kv/device".</param>
/// <param name="Bytes">Bytes reserved.</param>
public readonly record struct LedgerLine(string Name, long Bytes);

/// <summary>
/// Every long-lived byte of the engine, reserved under its owner's name before it is allocated. The sum never exceeds
/// the budget. Ledgers of several engines may be parts of one, whose sum does not exceed its budget either. Safe for use
/// from several threads.
/// </summary>
public sealed class MemoryLedger
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, long> _lines = new(StringComparer.Ordinal);
    private readonly MemoryLedger? _whole;
    private readonly string _part = "";
    private long _used;

    /// <param name="budgetBytes">Bytes that may be reserved in all.</param>
    public MemoryLedger(long budgetBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(budgetBytes);
        BudgetBytes = budgetBytes;
    }

    /// <summary>A part of another ledger: what is reserved here is reserved there too, as "part/name".</summary>
    /// <param name="budgetBytes">Bytes that may be reserved in this part; parts together may be promised more than the whole has.</param>
    /// <param name="whole">Where the part belongs.</param>
    /// <param name="part">Its name there.</param>
    public MemoryLedger(long budgetBytes, MemoryLedger whole, string part) : this(budgetBytes) => (_whole, _part) = (whole, part);

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
        // A part holds its lock over the whole's: never the other way round.
        lock (_lock)
        {
            if (bytes > BudgetBytes - _used) throw new MemoryBudgetException(name, bytes, BudgetBytes - _used, remedy);
            var ofWhole = _whole?.Reserve($"{_part}/{name}", bytes, remedy);
            _used += bytes;
            _lines[name] = _lines.GetValueOrDefault(name) + bytes;
            return new MemoryReservation(this, name, bytes, ofWhole);
        }
    }

    /// <summary>The lines with bytes in them, by name.</summary>
    public ImmutableArray<LedgerLine> Lines()
    {
        lock (_lock) return [.. _lines.Select(line => new LedgerLine(line.Key, line.Value))];
    }

    /// <summary>The lines of several ledgers at one moment: parts of a whole never add up to more than it has.</summary>
    /// <param name="ledgers">The parts, in the same order whoever asks.</param>
    public static ImmutableArray<ImmutableArray<LedgerLine>> LinesOf(ReadOnlySpan<MemoryLedger> ledgers)
    {
        if (ledgers.IsEmpty) return [];
        lock (ledgers[0]._lock) return [ledgers[0].Lines(), .. LinesOf(ledgers[1..])];
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
    private readonly MemoryReservation? _ofWhole;
    private int _released;

    internal MemoryReservation(MemoryLedger ledger, string name, long bytes, MemoryReservation? ofWhole) =>
        (_ledger, Name, Bytes, _ofWhole) = (ledger, name, bytes, ofWhole);

    /// <summary>The owner.</summary>
    public string Name { get; }

    /// <summary>Bytes held.</summary>
    public long Bytes { get; }

    /// <summary>Gives the bytes back, once.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _released, 1) != 0) return;
        _ledger.Release(Name, Bytes);
        _ofWhole?.Dispose();
    }
}

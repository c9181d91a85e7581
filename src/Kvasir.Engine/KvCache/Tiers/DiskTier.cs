using System.Collections.Concurrent;
using System.Diagnostics;
using Kvasir.Kernels;

namespace Kvasir.Engine.KvCache.Tiers;

/// <summary>
/// Blocks on disk, which outlive the process. Writing and reading happen beside computation: the engine's thread copies a
/// block into a free buffer and a thread of the tier writes it; another reads what a sequence needs into blocks that are
/// the sequence's alone. A disk that refuses to be written ends the tier, with one warning; a page that is not what was
/// written is dropped.
/// </summary>
internal sealed class DiskTier : IDisposable
{
    /// <summary>Blocks that may wait for the disk.</summary>
    public const int Buffers = 16;

    private readonly KvMemory _device;
    private readonly DiskPages _pages;
    private readonly NativeSlice _buffers;
    private readonly byte[] _scratch;
    private readonly Stack<int> _freeBuffers = new(Enumerable.Range(0, Buffers));
    private readonly Dictionary<int, Reading> _readings = [];
    private readonly BlockingCollection<Reading> _wanted = [];
    private readonly HashSet<UInt128> _writing = [];
    private readonly BlockingCollection<Job> _jobs = [];
    private readonly ConcurrentQueue<Job> _done = new();
    private readonly Action<string> _warn;
    private readonly Action _wake;
    private readonly Thread _writer, _reader;

    /// <param name="device">Where blocks come from and go to.</param>
    /// <param name="pages">The files; owned from now on.</param>
    /// <param name="slots">As many places as the files have pages.</param>
    /// <param name="buffers"><see cref="Buffers"/> blocks of memory.</param>
    /// <param name="warn">Told once when the tier ends.</param>
    /// <param name="wake">Called by the tier's threads when a block was written or read.</param>
    /// <param name="time">The clock; the system's when null.</param>
    /// <param name="tenantShare">See <see cref="TierSlots"/>.</param>
    public DiskTier(KvMemory device, DiskPages pages, int slots, NativeSlice buffers, Action<string> warn, Action wake, TimeProvider? time = null, double tenantShare = 1)
    {
        (_device, _pages, _buffers, _warn, _wake) = (device, pages, buffers, warn, wake);
        (_scratch, Slots) = (new byte[device.BlockBytes], new TierSlots(slots, time, tenantShare));
        Restore();
        _writer = new Thread(Write) { IsBackground = true, Name = "kvasir-kv-disk" };
        _reader = new Thread(Read) { IsBackground = true, Name = "kvasir-kv-disk-reader" };
        _writer.Start();
        _reader.Start();
    }

    public TierSlots Slots { get; }

    /// <summary>What the texts begin with that an earlier process left.</summary>
    public IReadOnlySet<UInt128> RestoredRoots { get; private set; } = new HashSet<UInt128>();

    /// <summary>Told of each block that has been written.</summary>
    public Action<PageLabel>? Written { get; set; }

    /// <summary>Whether the disk refused to be written.</summary>
    public bool IsOff { get; private set; }

    /// <summary>Pages that were not what was written.</summary>
    public long Damaged { get; private set; }

    /// <summary>Whether a block can be taken now.</summary>
    public bool HasBuffer => !IsOff && _freeBuffers.Count > 0;

    /// <summary>Whether blocks are on their way to the disk.</summary>
    public bool IsWriting => _writing.Count > 0;

    /// <summary>Takes a copy of a block to write it, unless it is there or on its way. Needs <see cref="HasBuffer"/>.</summary>
    /// <returns>Whether it will be written.</returns>
    public bool Store(int block, in PageLabel label)
    {
        if (Slots.Find(label.Name, label.Parent, label.Tokens) is var known and >= 0)
        {
            Slots.Touch(known, label.Claim.Retention);
            return false;
        }
        if (_writing.Contains(label.Name)) return false;
        var slot = Slots.Take();
        if (slot < 0) return false;
        var buffer = _freeBuffers.Pop();
        _device.Save(block, Buffer(buffer));
        _writing.Add(label.Name);
        _jobs.Add(new Job(slot, buffer, label));
        return true;
    }

    /// <summary>Books what has been written since the last call.</summary>
    public void Collect()
    {
        while (_done.TryDequeue(out var job))
        {
            _freeBuffers.Push(job.Buffer);
            _writing.Remove(job.Label.Name);
            if (job.Error is null)
            {
                if (Slots.Put(job.Slot, job.Label.Name, job.Label.Parent, job.Label.Tokens, job.Label.Claim)) Written?.Invoke(job.Label);
            }
            else
            {
                Slots.GiveBack(job.Slot);
                if (IsOff) continue;
                IsOff = true;
                _warn($"The KV tier on disk is off from now on: {job.Error} Requests are served without it. Free space or repair the disk, then start again.");
            }
        }
    }

    /// <summary>Begins to read what a place holds into a block.</summary>
    /// <param name="slot">The place.</param>
    /// <param name="block">A block that nobody else looks at until it is loaded or abandoned.</param>
    /// <param name="reader">Whose the block is.</param>
    public void Begin(int slot, int block, object reader)
    {
        if (_readings.ContainsKey(block)) return;
        Slots.Hold(slot);
        var reading = new Reading(slot, block, reader);
        _readings.Add(block, reading);
        _wanted.Add(reading);
    }

    /// <summary>Whether a block has been read. What is not what was written is dropped.</summary>
    /// <param name="slot">The place that it is read from; reading begins now if it did not before.</param>
    /// <param name="block">The block.</param>
    /// <param name="reader">Whose it is.</param>
    /// <param name="took">What reading took.</param>
    public LoadOutcome Load(int slot, int block, object reader, out TimeSpan took)
    {
        Begin(slot, block, reader);
        var reading = _readings[block];
        took = default;
        if (!reading.IsOver) return LoadOutcome.Pending;
        took = reading.Took;
        End(reading);
        if (reading.IsWhole) return LoadOutcome.Loaded;
        Damaged++;
        // Another may be reading the same in vain.
        if (Slots.IsFree(reading.Slot)) Forget(reading.Slot);
        return LoadOutcome.Gone;
    }

    /// <summary>A block that may be being read gets its contents otherwise: when this returns nothing writes to it.</summary>
    public void Abandon(int block)
    {
        if (_readings.TryGetValue(block, out var reading)) Stop(reading);
    }

    /// <summary>Whoever's blocks were being read gives them up: when this returns nothing writes to them.</summary>
    public void Abandon(object reader)
    {
        foreach (var reading in _readings.Values)
            if (reading.Reader == reader) Stop(reading);
    }

    /// <summary>Waits until everything that was taken has been written, and books it, and gives up what is being read.</summary>
    public void Settle()
    {
        SpinWait.SpinUntil(() => _done.Count == _writing.Count);
        foreach (var reading in _readings.Values) Stop(reading);
        Collect();
    }

    /// <summary>Deletes blocks by name, or all without names, in the files too. Nothing may be on its way.</summary>
    public int Delete(IReadOnlySet<UInt128>? names) => Slots.Delete(names, Forget);

    /// <summary>Forgets everything, in the files too, after what is being written.</summary>
    public void Clear()
    {
        Settle();
        for (var slot = 0; slot < Slots.Capacity; slot++) TryClearPage(slot);
        Slots.Clear();
    }

    /// <summary>After everything that was taken has been written.</summary>
    public void Dispose()
    {
        _jobs.CompleteAdding();
        _wanted.CompleteAdding();
        _writer.Join();
        _reader.Join();
        _jobs.Dispose();
        _wanted.Dispose();
        _pages.Dispose();
    }

    private void Restore()
    {
        var found = Reserve(_pages.ReadEntries());
        foreach (var (page, label) in found) Slots.Put(page, label.Name, label.Parent, label.Tokens, label.Claim);
        RestoredRoots = found.Select(entry => entry.Label.Claim.Root).ToHashSet();
    }

    /// <summary>Places are given out by number, so those of pages that hold something are taken in their order first.</summary>
    private List<(int Page, PageLabel Label)> Reserve(List<(int Page, PageLabel Label)> found)
    {
        var isFound = new bool[Slots.Capacity];
        foreach (var (page, _) in found) isFound[page] = true;
        var others = new List<int>();
        for (var i = 0; i < Slots.Capacity; i++)
            if (Slots.Take() is var slot && !isFound[slot]) others.Add(slot);
        for (var i = others.Count - 1; i >= 0; i--) Slots.GiveBack(others[i]);
        return found;
    }

    private void Forget(int slot)
    {
        Slots.Drop(slot);
        TryClearPage(slot);
    }

    private void TryClearPage(int slot)
    {
        try
        {
            _pages.Clear(slot);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Its checksum tells the next reader the same.
        }
    }

    private void Write()
    {
        string? failed = null;
        foreach (var job in _jobs.GetConsumingEnumerable())
        {
            if (failed is null)
            {
                try
                {
                    _pages.Write(job.Slot, job.Label, Buffer(job.Buffer));
                }
                catch (Exception error) when (error is IOException or UnauthorizedAccessException)
                {
                    failed = error.Message;
                }
            }
            job.Error = failed;
            _done.Enqueue(job);
            _wake();
        }
    }

    private void Read()
    {
        foreach (var reading in _wanted.GetConsumingEnumerable())
        {
            if (!reading.TryStart()) continue;
            var started = Stopwatch.GetTimestamp();
            var isWhole = _pages.TryRead(reading.Slot, _scratch);
            if (isWhole) _device.Load(reading.Block, _scratch);
            reading.Finish(isWhole, Stopwatch.GetElapsedTime(started));
            _wake();
        }
    }

    private void Stop(Reading reading)
    {
        // A page that is being read is there within a moment.
        if (!reading.TryStart()) SpinWait.SpinUntil(() => reading.IsOver);
        End(reading);
    }

    private void End(Reading reading)
    {
        _readings.Remove(reading.Block);
        Slots.Free(reading.Slot);
    }

    private Span<byte> Buffer(int number) => _buffers.AsSpan((long)number * _device.BlockBytes, _device.BlockBytes);

    private sealed class Job(int slot, int buffer, PageLabel label)
    {
        public int Slot => slot;
        public int Buffer => buffer;
        public PageLabel Label => label;
        public string? Error { get; set; }
    }

    private sealed class Reading(int slot, int block, object reader)
    {
        private const int Waits = 0, Runs = 1, Over = 2;

        private int _state = Waits;

        public int Slot => slot;
        public int Block => block;
        public object Reader => reader;
        public bool IsOver => Volatile.Read(ref _state) == Over;
        public bool IsWhole { get; private set; }
        public TimeSpan Took { get; private set; }

        /// <summary>The first who calls it may go on: the tier's thread to read, or who wants it no longer.</summary>
        public bool TryStart() => Interlocked.CompareExchange(ref _state, Runs, Waits) == Waits;

        public void Finish(bool isWhole, TimeSpan took)
        {
            (IsWhole, Took) = (isWhole, took);
            Volatile.Write(ref _state, Over);
        }
    }
}

using System.Runtime.InteropServices;

namespace Kvasir.Kernels;

/// <summary>
/// Zeroed native memory, aligned to 2 MiB and in huge pages where the system grants them (Linux: mmap and
/// MADV_HUGEPAGE), else aligned to 64 bytes. One owner; slices are borrowed and die with it.
/// </summary>
public sealed unsafe partial class NativeBuffer : IDisposable
{
    private const long HugePage = 2L << 20;
    private const int ProtReadWrite = 3, MapPrivate = 2, MapAnonymous = 0x20, AdviseDontNeed = 4, AdviseHugePage = 14;

    private readonly void* _allocation;
    private readonly nuint _mappedBytes;
    private byte* _start;

    /// <summary>Takes <paramref name="bytes"/> of zeroed memory; throws <see cref="InsufficientMemoryException"/> when the system refuses.</summary>
    public NativeBuffer(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Bytes = bytes;
        if (OperatingSystem.IsLinux() && bytes >= HugePage)
        {
            _mappedBytes = (nuint)(bytes + HugePage);
            var address = mmap(null, _mappedBytes, ProtReadWrite, MapPrivate | MapAnonymous, -1, 0);
            if (address == -1) throw new InsufficientMemoryException($"The system refused {bytes} bytes of memory.");
            _allocation = (void*)address;
            _start = (byte*)((address + (nint)HugePage - 1) & ~((nint)HugePage - 1));
            _ = madvise(_start, (nuint)bytes, AdviseHugePage); // Refused where huge pages are off: then they are small.
            return;
        }

        _allocation = NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 64), 64);
        _start = (byte*)_allocation;
        NativeMemory.Clear(_start, (nuint)bytes);
    }

    /// <summary>Usable bytes.</summary>
    public long Bytes { get; }

    /// <summary>The whole buffer.</summary>
    public NativeSlice All => Slice(0, Bytes);

    /// <summary>A range of the buffer, borrowed.</summary>
    public NativeSlice Slice(long offset, long bytes)
    {
        ObjectDisposedException.ThrowIf(_start is null, this);
        if (offset < 0 || bytes < 0 || offset + bytes > Bytes)
            throw new ArgumentOutOfRangeException(nameof(offset), $"{bytes} bytes at {offset} are outside a buffer of {Bytes}.");
        return new NativeSlice(_start + offset, bytes);
    }

    /// <summary>The buffer from byte <paramref name="offset"/> as a row-major matrix [rows, columns] without padding.</summary>
    public FloatMatrix Floats(int rows, int columns, long offset = 0) =>
        new((float*)Slice(offset, (long)rows * columns * sizeof(float)).Start, rows, columns, columns);

    /// <summary>Zeroes the first <paramref name="bytes"/>.</summary>
    public void Clear(long bytes) => NativeMemory.Clear(Slice(0, bytes).Start, (nuint)bytes);

    /// <summary>Zeroes everything. Where the system allows (Linux, from 2 MiB on) it gets the memory back until it is touched again; slices stay valid.</summary>
    public void Discard()
    {
        ObjectDisposedException.ThrowIf(_start is null, this);
        if (_mappedBytes == 0 || madvise(_start, (nuint)Bytes, AdviseDontNeed) != 0) Clear(Bytes);
    }

    /// <summary>Gives the memory back. Slices of it must not be used any more.</summary>
    public void Dispose()
    {
        if (_start is null) return;
        _start = null;
        if (_mappedBytes != 0) _ = munmap(_allocation, _mappedBytes);
        else NativeMemory.AlignedFree(_allocation);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives forgotten memory back.</summary>
    ~NativeBuffer() => Dispose();

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);
}

/// <summary>A borrowed range of native memory.</summary>
public readonly unsafe struct NativeSlice
{
    internal NativeSlice(byte* start, long bytes)
    {
        Start = start;
        Bytes = bytes;
    }

    internal byte* Start { get; }

    /// <summary>Length in bytes.</summary>
    public long Bytes { get; }

    /// <summary>A part of this range.</summary>
    public NativeSlice Slice(long offset, long bytes) =>
        offset >= 0 && bytes >= 0 && offset + bytes <= Bytes
            ? new NativeSlice(Start + offset, bytes)
            : throw new ArgumentOutOfRangeException(nameof(offset), $"{bytes} bytes at {offset} are outside a slice of {Bytes}.");

    /// <summary>A part of this range as a span.</summary>
    public Span<byte> AsSpan(long offset, int bytes) => new(Slice(offset, bytes).Start, bytes);
}

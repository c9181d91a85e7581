using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Kvasir.Checkpoints;

/// <summary>
/// A file mapped read-only into memory. Spans into it are borrowed: they end with <see cref="Dispose"/>.
/// Every access is checked against the length that the file had when it was opened.
/// </summary>
public sealed class MappedFile : IDisposable
{
    private const int DontNeed = 4;

    private readonly SafeFileHandle _handle;
    private readonly DateTime _written;
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly nint _start;
    private bool _disposed;

    private MappedFile(string path, SafeFileHandle handle, long length, MemoryMappedFile map, MemoryMappedViewAccessor view)
    {
        (FilePath, _handle, Length, _map, _view) = (path, handle, length, map, view);
        _written = File.GetLastWriteTimeUtc(handle);
        _start = view.SafeMemoryMappedViewHandle.DangerousGetHandle() + (nint)view.PointerOffset;
    }

    /// <summary>Where the file is.</summary>
    public string FilePath { get; }

    /// <summary>Bytes in the file.</summary>
    public long Length { get; }

    /// <summary>Maps the file at <paramref name="path"/>.</summary>
    /// <exception cref="CheckpointException">It does not exist, is empty or cannot be read.</exception>
    public static MappedFile Open(string path)
    {
        try
        {
            var handle = File.OpenHandle(path);
            MemoryMappedFile? map = null;
            try
            {
                var length = RandomAccess.GetLength(handle);
                if (length == 0) throw new CheckpointException($"{path} is empty. Copy or download it again.");
                map = MemoryMappedFile.CreateFromFile(handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
                return new MappedFile(path, handle, length, map, map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read));
            }
            catch
            {
                map?.Dispose();
                handle.Dispose();
                throw;
            }
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CheckpointException($"{path} does not exist.", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new CheckpointException($"{path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary><paramref name="length"/> bytes from <paramref name="offset"/>.</summary>
    /// <exception cref="CheckpointException">The range leaves the file.</exception>
    public ReadOnlySpan<byte> Bytes(long offset, int length) =>
        MemoryMarshal.CreateReadOnlySpan(ref Unsafe.AddByteOffset(ref Unsafe.NullRef<byte>(), Address(offset, length)), length);

    /// <summary>The address of <paramref name="offset"/> in the mapping, with <paramref name="length"/> readable bytes behind it.</summary>
    /// <exception cref="CheckpointException">The range leaves the file.</exception>
    public nint Address(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (offset < 0 || length < 0 || offset > Length || length > Length - offset)
            throw new CheckpointException($"{FilePath} has {Length} bytes, but {length} bytes at offset {offset} were asked for; it is damaged or truncated.");
        return _start + (nint)offset;
    }

    /// <summary>
    /// Refuses to go on with a file that was written to since it was opened: what was learnt from it may be wrong, and
    /// reading beyond a new end would end the process. One that was deleted or replaced by another can be read as before.
    /// </summary>
    /// <exception cref="CheckpointException">It was.</exception>
    public void RequireUnchanged()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (RandomAccess.GetLength(_handle) != Length || File.GetLastWriteTimeUtc(_handle) != _written)
            throw new CheckpointException($"{FilePath} was written to since it was opened, so its weights cannot be read again. Start anew with it as it is now.");
    }

    /// <summary>
    /// Lets the operating system drop the whole pages within the range; they are read again from the file when touched.
    /// Does nothing where the system has no such call.
    /// </summary>
    public void Release(long offset, long length)
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS()) return;
        var page = Environment.SystemPageSize;
        var address = Address(offset, length);
        var first = (address + page - 1) / page * page;
        var end = (address + (nint)length) / page * page;
        // Only advice: a refusal changes nothing but the memory in use.
        if (end > first) _ = Advise(first, (nuint)(end - first), DontNeed);
    }

    /// <summary>Unmaps the file; spans and addresses into it are no longer valid.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _view.Dispose();
        _map.Dispose();
        _handle.Dispose();
    }

#pragma warning disable SYSLIB1054 // The generated marshalling of LibraryImport needs unsafe code, and these arguments need no marshalling.
    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Advise(nint address, nuint length, int advice);
#pragma warning restore SYSLIB1054
}

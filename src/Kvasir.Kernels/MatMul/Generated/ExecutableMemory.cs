using System.Runtime.InteropServices;

namespace Kvasir.Kernels.Generated;

/// <summary>Machine code in memory that may be executed and no longer written; lives as long as the process.</summary>
internal static unsafe partial class ExecutableMemory
{
    private const int ProtRead = 1, ProtWrite = 2, ProtExecute = 4, MapPrivate = 2;
    private const uint Commit = 0x3000, PageReadWrite = 4, PageExecuteRead = 0x20;

    /// <summary>True when the system lets this process execute what it wrote.</summary>
    public static bool IsAllowed { get; } = TryReturnFortyTwo();

    /// <summary>Copies code into fresh pages, then makes them executable; 0 when the system refuses.</summary>
    public static nint Place(ReadOnlySpan<byte> code) => OperatingSystem.IsWindows() ? PlaceOnWindows(code) : PlaceOnUnix(code);

    private static bool TryReturnFortyTwo()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64) return false;
        var code = Place([0xB8, 42, 0, 0, 0, 0xC3]); // mov eax, 42; ret
        return code != 0 && ((delegate* unmanaged<int>)code)() == 42;
    }

    private static nint PlaceOnUnix(ReadOnlySpan<byte> code)
    {
        var anonymous = OperatingSystem.IsMacOS() ? 0x1000 : 0x20;
        var address = mmap(null, (nuint)code.Length, ProtRead | ProtWrite, MapPrivate | anonymous, -1, 0);
        if (address == -1) return 0;
        code.CopyTo(new Span<byte>((void*)address, code.Length));
        if (mprotect((void*)address, (nuint)code.Length, ProtRead | ProtExecute) == 0) return address;
        _ = munmap((void*)address, (nuint)code.Length);
        return 0;
    }

    private static nint PlaceOnWindows(ReadOnlySpan<byte> code)
    {
        var address = VirtualAlloc(null, (nuint)code.Length, Commit, PageReadWrite);
        if (address == 0) return 0;
        code.CopyTo(new Span<byte>((void*)address, code.Length));
        return VirtualProtect((void*)address, (nuint)code.Length, PageExecuteRead, out _) != 0 ? address : 0;
    }

    [LibraryImport("libc")]
    private static partial nint mmap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int mprotect(void* address, nuint length, int protection);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("kernel32")]
    private static partial nint VirtualAlloc(void* address, nuint size, uint type, uint protection);

    [LibraryImport("kernel32")]
    private static partial int VirtualProtect(void* address, nuint size, uint protection, out uint before);
}

using System.Runtime.InteropServices;
using System.Text;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>macOS's kernel values (sysctl); elsewhere every value is absent.</summary>
/// <param name="read">Bytes of the value of a name, or null.</param>
public sealed class MacSystem(Func<string, byte[]?> read)
{
    /// <summary>The kernel this process runs on.</summary>
    public static MacSystem Current { get; } = new(OperatingSystem.IsMacOS() ? ReadKernel : _ => null);

    /// <summary>A value that is text.</summary>
    public string? Text(string name) => read(name) is { Length: > 0 } bytes ? Encoding.UTF8.GetString(bytes).TrimEnd('\0') : null;

    /// <summary>A value that is a number of four or eight bytes.</summary>
    public long? Number(string name) => read(name) switch
    {
        { Length: 8 } bytes => BitConverter.ToInt64(bytes),
        { Length: 4 } bytes => BitConverter.ToInt32(bytes),
        _ => null,
    };

    private static byte[]? ReadKernel(string name)
    {
        nint length = 0;
        if (SysctlByName(name, null, ref length, 0, 0) != 0 || length is <= 0 or > 4096) return null;
        var value = new byte[length];
        return SysctlByName(name, value, ref length, 0, 0) == 0 ? value[..(int)length] : null;
    }

    [DllImport("libSystem.dylib", EntryPoint = "sysctlbyname", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SysctlByName(string name, byte[]? value, ref nint length, nint newValue, nint newLength);
}

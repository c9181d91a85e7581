using System.Runtime.InteropServices;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>
/// NVIDIA's management library, which comes with the driver. Only functions that exist in every driver since 2020 are
/// required; the others are optional. Signatures and layouts are those of nvml.h.
/// </summary>
internal sealed class Nvml : IDisposable
{
    internal const int Success = 0;
    internal const int InsufficientSize = 7;
    private const int NameLength = 96;

    private static readonly string[] Libraries = OperatingSystem.IsWindows()
        ? ["nvml.dll", @"C:\Windows\System32\nvml.dll", @"C:\Program Files\NVIDIA Corporation\NVSMI\nvml.dll"]
        : ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1", "libnvidia-ml.so"];

    private readonly nint _library;

    private Nvml(nint library) => _library = library;

    /// <summary>Opens the library; null, and why in <paramref name="remark"/>, where it cannot be used. A machine without it gets no remark.</summary>
    /// <param name="path">The library's file, or null to look where drivers put it.</param>
    /// <param name="remark">A sentence, or null.</param>
    public static Nvml? Open(string? path, out string? remark)
    {
        remark = null;
        nint library = 0;
        if (!(path is null ? Libraries : [path]).Any(name => NativeLibrary.TryLoad(name, out library))) return null;
        var nvml = new Nvml(library);
        var code = nvml.Function<Plain>("nvmlInit_v2") is { } start ? start() : -1;
        if (code == Success) return nvml;
        remark = $"NVIDIA's library is installed but does not start (code {code}{(code == 9 ? ": no driver is loaded" : "")}). If a GPU should be here, check the driver with nvidia-smi.";
        NativeLibrary.Free(library);
        return null;
    }

    /// <summary>The function of a name, or null where this driver lacks it.</summary>
    public T? Function<T>(string name) where T : Delegate =>
        NativeLibrary.TryGetExport(_library, name, out var address) ? Marshal.GetDelegateForFunctionPointer<T>(address) : null;

    /// <summary>Calls a function that writes text.</summary>
    public string? Text(string name, nint device)
    {
        var buffer = new byte[NameLength];
        return Function<DeviceText>(name) is { } read && read(device, buffer, NameLength) == Success ? Terminated(buffer) : null;
    }

    /// <summary>Calls a function that gives one number.</summary>
    public uint? Number(string name, nint device) => Function<DeviceNumber>(name) is { } read && read(device, out var value) == Success ? value : null;

    /// <summary>The driver's version.</summary>
    public string? DriverVersion()
    {
        var buffer = new byte[NameLength];
        return Function<SystemText>("nvmlSystemGetDriverVersion") is { } read && read(buffer, NameLength) == Success ? Terminated(buffer) : null;
    }

    public void Dispose()
    {
        Function<Plain>("nvmlShutdown")?.Invoke();
        NativeLibrary.Free(_library);
    }

    private static string Terminated(byte[] buffer) => System.Text.Encoding.UTF8.GetString(buffer.AsSpan(0, Math.Max(0, buffer.AsSpan().IndexOf((byte)0))));

    internal delegate int Plain();
    internal delegate int SystemNumber(out uint value);
    internal delegate int SystemText([Out] byte[] text, uint length);
    internal delegate int DeviceByIndex(uint index, out nint device);
    internal delegate int InstanceByIndex(nint device, uint index, out nint instance);
    internal delegate int DeviceText(nint device, [Out] byte[] text, uint length);
    internal delegate int DeviceNumber(nint device, out uint value);
    internal delegate int DevicePair(nint device, out uint first, out uint second);
    internal delegate int DeviceMemory(nint device, ref Memory memory);
    internal delegate int DeviceMemory2(nint device, ref Memory2 memory);
    internal delegate int DeviceLink(nint device, uint link, out uint active);
    internal delegate int DeviceProcesses(nint device, ref uint count, [In, Out] Process[]? processes);

    /// <summary>nvmlMemory_t, bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Memory
    {
        public ulong Total, Free, Used;
    }

    /// <summary>nvmlMemory_v2_t: tells what the driver keeps for itself.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Memory2
    {
        public uint Version;
        public ulong Total, Reserved, Free, Used;
    }

    /// <summary>nvmlProcessInfo_t; memory of all ones where the driver does not say.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Process
    {
        public uint Id;
        public ulong UsedMemory;
        public uint GpuInstance, ComputeInstance;
    }
}

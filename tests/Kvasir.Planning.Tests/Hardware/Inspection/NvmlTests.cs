using System.Diagnostics;
using Kvasir.Planning.Hardware.Inspection;

namespace Kvasir.Planning.Tests.Hardware.Inspection;

/// <summary>NVIDIA's library is played by one of a few lines of C with the same names and layouts.</summary>
public sealed class NvmlTests
{
    private const string Library = """
        #include <string.h>
        typedef unsigned int u; typedef unsigned long long ull; typedef void* dev;
        typedef struct { ull total, free, used; } mem1;
        typedef struct { u version; ull total, reserved, free, used; } mem2;
        typedef struct { u pid; ull used; u gi, ci; } proc;
        static int card0, card1, mig0;
        int nvmlInit_v2(void) { return STARTS; }
        int nvmlShutdown(void) { return 0; }
        int nvmlSystemGetDriverVersion(char* text, u length) { strncpy(text, "570.86.15", length); return 0; }
        int nvmlDeviceGetCount_v2(u* count) { *count = 3; return 0; }
        int nvmlDeviceGetHandleByIndex_v2(u index, dev* d) { if (index == 2) return 15; *d = index ? &card1 : &card0; return 0; }
        int nvmlDeviceGetName(dev d, char* text, u length) {
          strncpy(text, d == &card0 ? "NVIDIA A100-SXM4-80GB" : d == &card1 ? "NVIDIA Prototype" : "NVIDIA A100-SXM4-80GB MIG 3g.40gb", length); return 0; }
        int nvmlDeviceGetUUID(dev d, char* text, u length) { strncpy(text, d == &mig0 ? "MIG-1" : "GPU-1", length); return 0; }
        int nvmlDeviceGetMemoryInfo_v2(dev d, mem2* m) {
          if (m->version != (sizeof(mem2) | (2u << 24))) return 2;
          if (d == &card0) { m->total = 81920ull << 20; m->reserved = 600ull << 20; m->free = 71320ull << 20; m->used = 10000ull << 20; return 0; }
          return 3; }
        int nvmlDeviceGetMemoryInfo(dev d, mem1* m) { m->total = d == &mig0 ? 40192ull << 20 : 24576ull << 20; m->used = 1ull << 30; m->free = m->total - m->used; return 0; }
        int nvmlDeviceGetCudaComputeCapability(dev d, int* major, int* minor) { *major = 9; *minor = 1; return 0; }
        int nvmlDeviceGetMigMode(dev d, u* now, u* later) { if (d != &card0) return 3; *now = 1; *later = 1; return 0; }
        int nvmlDeviceGetMaxMigDeviceCount(dev d, u* count) { *count = 7; return 0; }
        int nvmlDeviceGetMigDeviceHandleByIndex(dev d, u index, dev* m) { if (index != 4) return 6; *m = &mig0; return 0; }
        int nvmlDeviceGetNvLinkState(dev d, u link, u* up) { if (link >= 12) return 2; *up = link < 10; return 0; }
        int nvmlDeviceGetComputeRunningProcesses_v3(dev d, u* count, proc* list) {
          if (d != &card0) { *count = 0; return 0; }
          if (*count < 2) { *count = 2; return 7; }
          list[0].pid = 100; list[0].used = 1ull << 30; list[1].pid = 200; list[1].used = 8ull << 30; *count = 2; return 0; }
        int nvmlDeviceGetGraphicsRunningProcesses_v3(dev d, u* count, proc* list) {
          if (*count < 1) { *count = 1; return 7; }
          list[0].pid = 300; list[0].used = ~0ull; *count = 1; return 0; }
        """;

    private static readonly MacSystem NoMac = new(_ => null);

    [Fact]
    public void Cards_their_users_instances_and_links_are_read()
    {
        using var library = Compile(starts: 0);
        using var files = new FakeTree().WithMemory().With("proc/200/comm", "vllm");
        var machine = MachineInspector.Inspect(files.Tree, NoMac, library.Path, _ => null);

        Assert.Equal(["NVIDIA driver 570.86.15"], machine.Drivers);
        Assert.Equal(2, machine.Accelerators.Length);
        var card = machine.Accelerators[0];
        Assert.Equal("a100-sxm-80", card.Kind.Id);
        Assert.Equal((81920L << 20, 10600L << 20, 10), (card.TotalBytes, card.UsedBytes, card.ActiveLinks));
        Assert.Equal(card.Kind.Bytes, Planning.Hardware.GpuCatalogue.Find("A100 SXM4 80GB").Bytes);
        Assert.Equal([(200, "vllm", 8L << 30), (100, null, 1L << 30), (300, null, null)], card.Processes.Select(process => (process.Id, process.Name, process.Bytes)));

        var instance = Assert.Single(card.Instances);
        Assert.Equal((4, "MIG-1", "3g.40gb"), (instance.Index, instance.Uuid, instance.Kind.MigProfile));
        Assert.Equal(39.25, instance.Kind.Gibibytes);
        Assert.Equal(["a100-sxm-80:3g.40gb", "nvidia-unlisted"], machine.Devices.Select(device => device.Id));
    }

    [Fact]
    public void A_card_that_the_catalogue_lacks_is_planned_by_what_the_driver_says()
    {
        using var library = Compile(starts: 0);
        using var files = new FakeTree().WithMemory();
        var card = MachineInspector.Inspect(files.Tree, NoMac, library.Path, _ => null).Accelerators[1];
        Assert.Equal(("NVIDIA Prototype", 24L << 30, 9.1), (card.Kind.Name, card.Kind.Bytes, card.Kind.CudaCapability));
        Assert.Equal(23L << 30, card.FreeBytes);
    }

    [Fact]
    public void A_library_whose_driver_is_not_loaded_is_remarked()
    {
        using var library = Compile(starts: 9);
        using var files = new FakeTree().WithMemory();
        var machine = MachineInspector.Inspect(files.Tree, NoMac, library.Path, _ => null);
        Assert.Empty(machine.Accelerators);
        Assert.Contains("no driver is loaded", Assert.Single(machine.Remarks));
    }

    private static CompiledLibrary Compile(int starts)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/cc"), "A C compiler is needed to build the library that plays NVIDIA's.");
        var folder = Directory.CreateTempSubdirectory("kvasir-nvml-");
        var (source, path) = (Path.Combine(folder.FullName, "nvml.c"), Path.Combine(folder.FullName, "libnvml.so"));
        File.WriteAllText(source, Library);
        using var compiler = Process.Start("/usr/bin/cc", ["-shared", "-fPIC", "-w", $"-DSTARTS={starts}", "-o", path, source]);
        compiler.WaitForExit();
        Assert.Equal(0, compiler.ExitCode);
        return new CompiledLibrary(folder, path);
    }

    private sealed record CompiledLibrary(DirectoryInfo Folder, string Path) : IDisposable
    {
        public void Dispose() => Folder.Delete(recursive: true);
    }
}

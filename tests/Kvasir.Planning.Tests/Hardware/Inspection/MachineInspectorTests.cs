using Kvasir.Planning.Hardware.Inspection;

namespace Kvasir.Planning.Tests.Hardware.Inspection;

public sealed class MachineInspectorTests
{
    private static readonly MacSystem NoMac = new(_ => null);
    private const string NoLibrary = "/nowhere/libnvidia-ml.so.1";

    [Fact]
    public void A_machine_without_a_GPU_is_planned_for_its_CPU()
    {
        using var files = new FakeTree().WithMemory(64, 48).With("proc/cpuinfo", "processor\t: 0\nmodel name\t: EPYC 9754\n");
        var machine = MachineInspector.Inspect(files.Tree, NoMac, NoLibrary, _ => null);
        Assert.Empty(machine.Accelerators);
        Assert.Empty(machine.Remarks);
        var device = Assert.Single(machine.Devices);
        Assert.Equal(("cpu", "EPYC 9754", 48L << 30), (device.Id, device.Name, device.Bytes));
    }

    [Fact]
    public void An_empty_tree_is_a_machine_all_the_same()
    {
        using var files = new FakeTree();
        var machine = MachineInspector.Inspect(files.Tree, NoMac, NoLibrary, _ => null);
        Assert.True(machine.Memory.TotalBytes > 0);
        Assert.NotEqual("", machine.Processor.Name);
    }

    [Fact]
    public void This_machine_can_be_read()
    {
        var machine = MachineInspector.Inspect();
        Assert.True(machine.Memory.SpareBytes > 0 && machine.Memory.SpareBytes <= machine.Memory.TotalBytes);
        Assert.NotEmpty(machine.Devices);
    }

    [Fact]
    public void An_Apple_machine_shares_its_memory_up_to_the_limit_set()
    {
        var values = new Dictionary<string, byte[]>
        {
            ["machdep.cpu.brand_string"] = "Apple M4 Max\0"u8.ToArray(), ["hw.memsize"] = BitConverter.GetBytes(64L << 30),
            ["kern.memorystatus_level"] = BitConverter.GetBytes(50), ["iogpu.wired_limit_mb"] = BitConverter.GetBytes(0),
        };
        using var files = new FakeTree();
        var machine = MachineInspector.Inspect(files.Tree, new MacSystem(values.GetValueOrDefault), NoLibrary, _ => null);
        var gpu = Assert.Single(machine.Accelerators);
        Assert.Equal("apple-m4max40-64", gpu.Kind.Id);
        Assert.Equal(48L << 30, gpu.Kind.Bytes);
        Assert.Equal(32.0, machine.Memory.AvailableBytes / (double)(1L << 30), 3);
        Assert.Equal("Apple M4 Max", machine.Processor.Name);

        values["iogpu.wired_limit_mb"] = BitConverter.GetBytes(57344);
        gpu = Assert.Single(MachineInspector.Inspect(files.Tree, new MacSystem(values.GetValueOrDefault), NoLibrary, _ => null).Accelerators);
        Assert.Equal(56L << 30, gpu.Kind.Bytes);
    }

    [Fact]
    public void A_Jetson_board_shares_its_memory()
    {
        using var files = new FakeTree().WithMemory(30, 25).With("proc/device-tree/model", "NVIDIA Jetson AGX Orin Developer Kit\0");
        var gpu = Assert.Single(MachineInspector.Inspect(files.Tree, NoMac, NoLibrary, _ => null).Accelerators);
        Assert.True(gpu.SharedMemory);
        Assert.Equal(30L << 30, gpu.TotalBytes);
    }

    [Fact]
    public void Disks_are_listed_once_with_their_kind_and_memory_file_systems_are_left_out()
    {
        using var files = new FakeTree()
            .With("proc/mounts", "/dev/nvme0n1p2 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/nvme0n1p2 /var/lib/docker ext4 rw 0 0\n/dev/sda1 /mnt/my\\040models xfs rw 0 0\n/dev/sdb1 /tiny ext4 rw 0 0\nserver:/x /net nfs4 rw 0 0")
            .With("sys/block/nvme0n1/queue/rotational", "0").With("sys/block/sda/queue/rotational", "1");
        var disks = DiskReading.Read(files.Tree, point => point switch
        {
            "/" => (500L << 30, 100L << 30), "/mnt/my models" => (8000L << 30, 4000L << 30), "/tiny" => (1L << 20, 1), "/net" => (10L << 40, 5L << 40), _ => null,
        });
        Assert.Equal(["/net", "/mnt/my models", "/"], disks.Select(disk => disk.MountPoint));
        Assert.Equal([null, true, false], disks.Select(disk => disk.Rotating));
    }
}

using Kvasir.Planning.Hardware.Inspection;

namespace Kvasir.Planning.Tests.Hardware.Inspection;

public sealed class PciGpusTests
{
    private const string Card = "sys/class/drm/card1/device";

    private static FakeTree Mi300X() => new FakeTree().WithMemory(2048, 2000)
        .With($"{Card}/vendor", "0x1002").With($"{Card}/device", "0x74a1").With($"{Card}/unique_id", "5c88007d4cf0e2a1")
        .With($"{Card}/mem_info_vram_total", "206141652992").With($"{Card}/mem_info_vram_used", $"{20L << 30}")
        .With("sys/class/drm/card1-HDMI-A-1/status", "connected")
        .With("sys/class/kfd/kfd/topology/nodes/0/gpu_id", "0").With("sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 96")
        .With("sys/class/kfd/kfd/topology/nodes/1/gpu_id", "51210")
        .With("sys/class/kfd/kfd/topology/nodes/1/properties", $"simd_count 1216\ngfx_target_version 90402\ndrm_render_minor 128\nunique_id {0x5c88007d4cf0e2a1}")
        .With("sys/class/kfd/kfd/proc/4711/vram_51210", $"{19L << 30}").With("sys/class/kfd/kfd/proc/4712/vram_51210", "0").With("proc/4711/comm", "python3");

    [Fact]
    public void A_card_of_AMD_is_found_with_its_users()
    {
        using var machine = Mi300X();
        var card = Assert.Single(PciGpus.Read(machine.Tree));
        Assert.Equal("mi300x-192", card.Kind.Id);
        Assert.Equal(206141652992, card.TotalBytes);
        Assert.Equal(20L << 30, card.UsedBytes);
        Assert.Equal("GPU-5c88007d4cf0e2a1", card.Uuid);
        Assert.False(card.SharedMemory);
        var process = Assert.Single(card.Processes);
        Assert.Equal((4711, "python3", 19L << 30), (process.Id, process.Name, process.Bytes));
    }

    [Fact]
    public void An_integrated_GPU_of_AMD_counts_its_part_and_what_it_may_borrow()
    {
        using var machine = new FakeTree().WithMemory(128, 120)
            .With($"{Card}/vendor", "0x1002").With($"{Card}/device", "0x1586").WithFolder($"{Card}/drm/renderD128")
            .With($"{Card}/mem_info_vram_total", $"{4L << 30}").With($"{Card}/mem_info_vram_used", $"{1L << 30}")
            .With($"{Card}/mem_info_gtt_total", $"{62L << 30}").With($"{Card}/mem_info_gtt_used", $"{2L << 30}")
            .With("sys/class/kfd/kfd/topology/nodes/1/gpu_id", "7").With("sys/class/kfd/kfd/topology/nodes/1/properties", "gfx_target_version 110501\ndrm_render_minor 128");
        var card = Assert.Single(PciGpus.Read(machine.Tree));
        Assert.True(card.SharedMemory);
        Assert.Equal(66L << 30, card.TotalBytes);
        Assert.Equal(63L << 30, card.FreeBytes);
        Assert.Equal("strixhalo-128", card.Kind.Id);
        Assert.Equal(66L << 30, card.Kind.Bytes);
        Assert.Equal(256e9, card.Kind.Bandwidth);
    }

    [Fact]
    public void A_card_that_the_catalogue_lacks_is_planned_by_its_memory()
    {
        using var machine = new FakeTree().WithMemory().With($"{Card}/vendor", "0x1002").With($"{Card}/device", "0x9999").With($"{Card}/mem_info_vram_total", $"{20L << 30}");
        var card = Assert.Single(PciGpus.Read(machine.Tree));
        Assert.Equal("AMD GPU 0x9999", card.DriverName);
        Assert.Equal(20L << 30, card.Kind.Bytes);
        Assert.Null(card.UsedBytes);
    }

    [Fact]
    public void Cards_of_Intel_show_their_memory_on_the_bus_or_share_the_hosts()
    {
        using var machine = new FakeTree().WithMemory(32, 30)
            .With("sys/class/drm/card0/device/vendor", "0x8086").With("sys/class/drm/card0/device/device", "0x7d55").WithLink("sys/class/drm/card0/device/driver", "../../bus/pci/drivers/i915")
            .With("sys/class/drm/card0/device/resource", "0x00000000a0000000 0x00000000a0ffffff 0x0000000000140204\n0x0000004000000000 0x000000400fffffff 0x000000000014220c")
            .With("sys/class/drm/card1/device/vendor", "0x8086").With("sys/class/drm/card1/device/device", "0xe20b").WithLink("sys/class/drm/card1/device/driver", "../../bus/pci/drivers/xe")
            .With("sys/class/drm/card1/device/resource", "0x00000000a0000000 0x00000000a0ffffff 0x0000000000140204\n0x0000006000000000 0x00000062ffffffff 0x000000000014220c");
        var cards = PciGpus.Read(machine.Tree).ToArray();
        Assert.Equal([true, false], cards.Select(card => card.SharedMemory));
        Assert.Equal([16L << 30, 12L << 30], cards.Select(card => card.TotalBytes));
        Assert.Equal("arcb580-12", cards[1].Kind.Id);
        Assert.Equal("Intel integrated GPU 0x7d55", cards[0].DriverName);
    }

    [Fact]
    public void Other_vendors_and_display_connectors_are_no_GPUs()
    {
        using var machine = new FakeTree().WithMemory().With("sys/class/drm/card0/device/vendor", "0x1af4").With("sys/class/drm/card0-VGA-1/status", "x").With("sys/class/drm/version", "drm");
        Assert.Empty(PciGpus.Read(machine.Tree));
    }

    [Theory]
    [InlineData(90402, "gfx942")]
    [InlineData(90010, "gfx90a")]
    [InlineData(110501, "gfx1151")]
    [InlineData(120001, "gfx1201")]
    public void Targets_are_named_as_compilers_name_them(long version, string name) => Assert.Equal(name, KfdNode.TargetName(version));
}

using Kvasir.Planning.Hardware;

namespace Kvasir.Planning.Tests.Hardware;

public sealed class GpuCatalogueTests
{
    [Theory]
    [InlineData("H100 SXM5 80GB", "h100-sxm-80")]
    [InlineData("h100-sxm-80", "h100-sxm-80")]
    [InlineData("h100", "h100-sxm-80")]
    [InlineData("NVIDIA H100 80GB HBM3", "h100-sxm-80")]
    [InlineData("NVIDIA H100 PCIe", "h100-pcie-80")]
    [InlineData("NVIDIA A100-SXM4-80GB", "a100-sxm-80")]
    [InlineData("A100-40G", "a100-sxm-40")]
    [InlineData("NVIDIA A100 80GB PCIe", "a100-pcie-80")]
    [InlineData("NVIDIA GeForce RTX 4090", "rtx4090-24")]
    [InlineData("rtx4090", "rtx4090-24")]
    [InlineData("RTX 4090 24GB", "rtx4090-24")]
    [InlineData("Tesla T4", "t4-16")]
    [InlineData("NVIDIA L40S", "l40s-48")]
    [InlineData("NVIDIA RTX 6000 Ada Generation", "rtx6000ada-48")]
    [InlineData("AMD Instinct MI300X OAM", "mi300x-192")]
    [InlineData("MI300X 192GB", "mi300x-192")]
    [InlineData("Apple M4 Max 64GB", "apple-m4max40-64")]
    [InlineData("Strix Halo", "strixhalo-128")]
    public void Names_of_people_and_drivers_find_the_card(string name, string id) => Assert.Equal(id, GpuCatalogue.Find(name).Id);

    [Fact]
    public void Capacity_is_what_the_runtime_reports_and_not_the_label()
    {
        var gpu = GpuCatalogue.Find("H100 SXM5 80GB");
        Assert.Equal(79.19, gpu.Gibibytes, 2);
        Assert.Equal(81559L << 20, gpu.ToolBytes);
        Assert.Equal(3350e9, gpu.Bandwidth);
        Assert.Equal(1979e12, gpu.OperationsPerSecond["fp8"]);
        Assert.Equal(9.0, gpu.CudaCapability);
        Assert.True(gpu is { Fp8: true, Fp4: false, HasFastLink: true, Evidence: CapacityEvidence.Observed });
        Assert.Equal(64e9, gpu.PcieBandwidth);
    }

    [Fact]
    public void Every_entry_is_whole_and_findable_by_its_name_and_id()
    {
        Assert.True(GpuCatalogue.All.Count() >= 76);
        foreach (var gpu in GpuCatalogue.All)
        {
            Assert.Equal(gpu, GpuCatalogue.Find(gpu.Name));
            Assert.Equal(gpu, GpuCatalogue.Find(gpu.Id));
            Assert.True(0 < gpu.LowBytes && gpu.LowBytes <= gpu.Bytes && gpu.Bytes <= gpu.HighBytes, gpu.Name);
            Assert.True(gpu.ToolBytes is null || gpu.Bytes <= gpu.ToolBytes, gpu.Name);
            Assert.True(gpu.Bandwidth > 0, gpu.Name);
        }
    }

    [Fact]
    public void An_unknown_name_is_answered_with_the_nearest()
    {
        var error = Assert.Throws<HardwareException>(() => GpuCatalogue.Find("H1000 SXM"));
        Assert.Contains("\"H100 SXM5 80GB\"", error.Message);
        Assert.Contains("--gpu-memory", error.Message);
        Assert.Contains("GeForce RTX 4090", Assert.Throws<HardwareException>(() => GpuCatalogue.Find("RTX 4091")).Message);
    }

    [Fact]
    public void A_name_that_means_several_cards_lists_them()
    {
        var error = Assert.Throws<HardwareException>(() => GpuCatalogue.Find("Apple M4 Max"));
        Assert.Contains("64GB", error.Message);
        Assert.Null(GpuCatalogue.TryFind("Apple M4 Max"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("☃")]
    [InlineData("NVIDIA")]
    [InlineData("0GiB")]
    public void Nonsense_is_refused(string name) => Assert.Throws<HardwareException>(() => GpuCatalogue.Find(name));

    [Fact]
    public void A_size_alone_is_a_card_of_which_all_can_be_used()
    {
        var gpu = GpuCatalogue.Find("80GiB");
        Assert.Equal(80L << 30, gpu.Bytes);
        Assert.Equal(CapacityEvidence.Given, gpu.Evidence);
    }

    [Theory]
    [InlineData("A100 80GB 3g.40gb", 39.25, 0.5, 3 / 7.0)]
    [InlineData("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 4.75, 0.125, 1 / 7.0)]
    [InlineData("A30:2g.12gb", 11.69, 0.5, 0.5)]
    [InlineData("h100 1g.20gb", 19.4, 0.25, 1 / 7.0)]
    public void An_instance_has_its_share_of_the_card(string name, double gib, double bandwidth, double compute)
    {
        var instance = GpuCatalogue.Find(name);
        var card = GpuCatalogue.Find(instance.Id[..instance.Id.IndexOf(':')]);
        Assert.Equal(gib, instance.Gibibytes, 1);
        Assert.Equal(card.Bandwidth * bandwidth, instance.Bandwidth);
        Assert.Equal(card.OperationsPerSecond["bf16"] * compute, instance.OperationsPerSecond["bf16"], 1e6);
        Assert.False(instance.HasFastLink);
    }

    [Fact]
    public void An_instance_that_the_card_has_not_is_refused_with_those_it_has()
    {
        Assert.Contains("1g.10gb", Assert.Throws<HardwareException>(() => GpuCatalogue.Find("H100 5g.60gb")).Message);
        Assert.Contains("cannot be cut", Assert.Throws<HardwareException>(() => GpuCatalogue.Find("RTX 4090 1g.10gb")).Message);
    }

    [Fact]
    public void Apple_machines_give_the_gpu_two_thirds_or_three_quarters_of_memory()
    {
        Assert.Equal(48, GpuCatalogue.Find("Apple M4 Max 64GB").Gibibytes, 3);
        Assert.Equal(16 * 2 / 3.0, GpuCatalogue.Find("Apple M1 16GB").Gibibytes, 3);
        Assert.True(GpuCatalogue.Find("Apple M1 16GB").Unified);
    }
}

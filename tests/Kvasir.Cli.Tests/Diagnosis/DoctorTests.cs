using System.Text.Json;
using Kvasir.Cli.Benchmarks;
using Kvasir.Cli.Diagnosis;
using Kvasir.Cli.Tests.Fixtures;
using Kvasir.Planning.Hardware;

namespace Kvasir.Cli.Tests.Diagnosis;

public sealed class DoctorTests(CommandLine line)
{
    [Fact]
    public void Everything_that_matters_is_looked_at()
    {
        var text = CommandLine.Run("doctor");
        Assert.Equal((0, ""), (text.Code, text.Error));
        using var json = JsonDocument.Parse(CommandLine.Run("doctor", "--json").Output);
        var findings = json.RootElement.GetProperty("findings").EnumerateArray().ToArray();
        string[] subjects = [".NET", "processor", "kernels", "cores", "memory", "huge pages", "bandwidth", "cache folder", "demo model"];
        Assert.Equal(subjects, findings.Select(finding => finding.GetProperty("subject").GetString()));
        Assert.All(subjects, subject => Assert.Matches($"(?m)^[✓!✗] {subject}  ", text.Output));
        Assert.All(findings, finding => Assert.True(finding.GetProperty("verdict").GetString() == "good" || finding.GetProperty("remedy").GetString()!.Length > 10));
        Assert.InRange(findings[6].GetProperty("value").GetDouble(), 1e8, 1e13);
        Assert.Contains(json.RootElement.GetProperty("kernels").EnumerateArray(), kernels => kernels.GetProperty("available").GetBoolean());
    }

    [Fact]
    public void Kernels_that_do_not_run_here_are_a_fault_with_the_ones_that_do()
    {
        var outcome = CommandLine.RunWith("", new() { ["KVASIR_KERNELS"] = "quantum" }, "doctor");
        Assert.Equal(1, outcome.Code);
        Assert.Matches("✗ kernels .*quantum.*scalar", outcome.Output);
        Assert.Contains("→ Unset KVASIR_KERNELS", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_vector_instructions_the_remedy_names_the_switch()
    {
        var outcome = CommandLine.RunWith("", new() { ["DOTNET_EnableHWIntrinsic"] = "0" }, "doctor");
        Assert.Equal(0, outcome.Code);
        Assert.Matches("! kernels +scalar", outcome.Output);
        Assert.Contains("DOTNET_EnableHWIntrinsic", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_quota_below_the_threads_asks_for_fewer_threads()
    {
        Assert.Equal(Verdict.Good, Doctor.Cores(new Processor("any", 8)).Verdict);
        Assert.Equal(Verdict.Good, Doctor.Cores(new Processor("any", 8, 8)).Verdict);
        var finding = Doctor.Cores(new Processor("any", 8, 2.5));
        Assert.Equal(Verdict.Improvable, finding.Verdict);
        Assert.Contains("--threads 2", finding.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tight_limit_is_named_by_its_file()
    {
        var finding = Doctor.Memory(new HostMemory(64L << 30, 60L << 30, 1L << 30, 900L << 20, "/sys/fs/cgroup/memory.max"));
        Assert.Equal(Verdict.Improvable, finding.Verdict);
        Assert.Contains("limited to 1.00 GiB by /sys/fs/cgroup/memory.max", finding.Text, StringComparison.Ordinal);
        Assert.Contains("/sys/fs/cgroup/memory.max", finding.Remedy, StringComparison.Ordinal);
        Assert.Equal(Verdict.Good, Doctor.Memory(new HostMemory(64L << 30, 60L << 30)).Verdict);
    }

    [Theory]
    [InlineData("always madvise [never]", 0L, false, "tee /sys/kernel/mm/transparent_hugepage/enabled")]
    [InlineData("always [madvise] never", 10L, false, "compact_memory")]
    [InlineData("always [madvise] never", 256L, true, null)]
    [InlineData("[always] madvise never", null, true, null)]
    [InlineData(null, null, true, null)]
    public void Huge_pages_are_judged_by_what_was_granted(string? setting, long? grantedMib, bool good, string? remedy)
    {
        var finding = Doctor.HugePage(setting, new BandwidthProbe(1e10, 256L << 20, grantedMib << 20));
        Assert.Equal(good, finding.Verdict == Verdict.Good);
        if (remedy is null) Assert.Null(finding.Remedy);
        else Assert.Contains(remedy, finding.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cache_folder_that_cannot_be_is_said_and_one_that_can_is_not_made()
    {
        var blocked = Doctor.Cache(Path.Combine(line.Write("file", ""), "cache"));
        Assert.Equal(Verdict.Improvable, blocked.Verdict);
        Assert.Contains("KVASIR_CACHE", blocked.Remedy, StringComparison.Ordinal);
        Assert.Contains("free", Doctor.Cache(line.Path("new/cache")).Text, StringComparison.Ordinal);
        Assert.False(Directory.Exists(line.Path("new")));
    }
}

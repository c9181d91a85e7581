using Kvasir.Planning.Hardware.Inspection;

namespace Kvasir.Planning.Tests.Hardware.Inspection;

public sealed class HostMemoryTests
{
    [Fact]
    public void Without_a_limit_all_that_is_available_can_be_taken()
    {
        using var machine = new FakeTree().WithMemory(64, 48);
        var memory = HostMemoryReading.Read(machine.Tree)!;
        Assert.Equal(64L << 30, memory.TotalBytes);
        Assert.Equal(48L << 30, memory.SpareBytes);
        Assert.Null(memory.LimitBytes);
    }

    [Fact]
    public void A_limit_of_version_two_counts_without_cached_files()
    {
        using var machine = new FakeTree().WithMemory().With("proc/self/cgroup", "0::/kube/pod7")
            .With("sys/fs/cgroup/kube/pod7/memory.max", $"{16L << 30}").With("sys/fs/cgroup/kube/pod7/memory.current", $"{10L << 30}")
            .With("sys/fs/cgroup/kube/pod7/memory.stat", $"anon 5\ninactive_file {4L << 30}\nactive_file 9");
        var memory = HostMemoryReading.Read(machine.Tree)!;
        Assert.Equal(16L << 30, memory.LimitBytes);
        Assert.Equal(6L << 30, memory.LimitUsedBytes);
        Assert.Equal(10L << 30, memory.SpareBytes);
        Assert.Equal("/sys/fs/cgroup/kube/pod7/memory.max", memory.LimitFrom);
    }

    [Fact]
    public void The_tightest_limit_of_the_groups_around_decides()
    {
        using var machine = new FakeTree().WithMemory().With("proc/self/cgroup", "0::/outer/inner")
            .With("sys/fs/cgroup/outer/inner/memory.max", "max").With("sys/fs/cgroup/outer/inner/memory.current", "5")
            .With("sys/fs/cgroup/outer/memory.max", $"{8L << 30}").With("sys/fs/cgroup/outer/memory.current", $"{3L << 30}");
        Assert.Equal(5L << 30, HostMemoryReading.Read(machine.Tree)!.SpareBytes);
    }

    [Fact]
    public void A_container_whose_path_is_the_hosts_reads_the_mount_itself()
    {
        using var machine = new FakeTree().WithMemory().With("proc/self/cgroup", "9:memory:/docker/0123\n1:cpu,cpuacct:/docker/0123")
            .With("sys/fs/cgroup/memory/memory.limit_in_bytes", $"{4L << 30}").With("sys/fs/cgroup/memory/memory.usage_in_bytes", $"{1L << 30}")
            .With("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000").With("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
        Assert.Equal(3L << 30, HostMemoryReading.Read(machine.Tree)!.SpareBytes);
        Assert.Equal(2.5, HostMemoryReading.ProcessorQuota(machine.Tree));
    }

    [Fact]
    public void Version_ones_huge_number_is_no_limit()
    {
        using var machine = new FakeTree().WithMemory().With("proc/self/cgroup", "4:memory:/")
            .With("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712").With("sys/fs/cgroup/memory/memory.usage_in_bytes", "5");
        Assert.Null(HostMemoryReading.Read(machine.Tree)!.LimitBytes);
    }

    [Fact]
    public void The_time_that_version_two_allows_is_read()
    {
        using var machine = new FakeTree().With("proc/self/cgroup", "0::/").With("sys/fs/cgroup/cpu.max", "150000 100000");
        Assert.Equal(1.5, HostMemoryReading.ProcessorQuota(machine.Tree));
        machine.With("sys/fs/cgroup/cpu.max", "max 100000");
        Assert.Null(HostMemoryReading.ProcessorQuota(machine.Tree));
    }

    [Theory]
    [InlineData("")]
    [InlineData("MemTotal: lots kB")]
    [InlineData(":::\n\0\0")]
    public void Broken_files_give_no_memory_rather_than_an_error(string meminfo)
    {
        using var machine = new FakeTree().With("proc/meminfo", meminfo).With("proc/self/cgroup", "nonsense\n::::\n0::/../../etc");
        Assert.Null(HostMemoryReading.Read(machine.Tree));
    }
}

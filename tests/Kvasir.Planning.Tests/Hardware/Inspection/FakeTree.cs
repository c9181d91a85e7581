using Kvasir.Planning.Hardware.Inspection;

namespace Kvasir.Planning.Tests.Hardware.Inspection;

/// <summary>A folder that looks like a Linux machine's /proc and /sys.</summary>
internal sealed class FakeTree : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("kvasir-tree-");

    public SystemTree Tree => new(_root.FullName);

    public FakeTree With(string path, string text)
    {
        var file = new FileInfo(Path.Combine(_root.FullName, path));
        file.Directory!.Create();
        File.WriteAllText(file.FullName, text + "\n");
        return this;
    }

    public FakeTree WithFolder(string path)
    {
        Directory.CreateDirectory(Path.Combine(_root.FullName, path));
        return this;
    }

    public FakeTree WithLink(string path, string target)
    {
        var file = new FileInfo(Path.Combine(_root.FullName, path));
        file.Directory!.Create();
        File.CreateSymbolicLink(file.FullName, target);
        return this;
    }

    public FakeTree WithMemory(long totalGiB = 64, long availableGiB = 48) =>
        With("proc/meminfo", $"MemTotal:       {totalGiB << 20} kB\nMemFree:        1024 kB\nMemAvailable:   {availableGiB << 20} kB");

    public void Dispose() => _root.Delete(recursive: true);
}

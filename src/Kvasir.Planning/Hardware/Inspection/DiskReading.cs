using System.Collections.Immutable;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>Reads which disks are mounted, how large they are and whether they spin.</summary>
public static class DiskReading
{
    private const long Smallest = 1L << 30;
    private static readonly HashSet<string> FileSystems =
        ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "overlay", "nfs", "nfs4", "cifs", "ceph", "lustre", "fuseblk", "ntfs", "ntfs3", "exfat", "9p", "virtiofs", "apfs", "hfs", "APFS", "NTFS"];

    /// <summary>Disks of more than a gibibyte, the largest free space first.</summary>
    /// <param name="tree">Where /proc/mounts is read.</param>
    /// <param name="space">Total and free bytes at a mount point, or null where it cannot be read.</param>
    public static ImmutableArray<Disk> Read(SystemTree tree, Func<string, (long Total, long Free)?> space)
    {
        var mounts = tree.Lines("proc/mounts").Select(line => line.Split(' ')).Where(fields => fields.Length > 2 && FileSystems.Contains(fields[2]))
            .Select(fields => (Device: fields[0], Point: fields[1].Replace("\\040", " ", StringComparison.Ordinal), Kind: fields[2]));
        var disks = new List<(string Device, Disk Disk)>();
        foreach (var (device, point, kind) in mounts.OrderBy(mount => mount.Point.Length))
        {
            // One disk shown at several places (bind mounts) counts at the shortest.
            if (disks.Any(known => known.Device == device && device.StartsWith('/'))) continue;
            if (space(point) is { Total: > Smallest } bytes) disks.Add((device, new Disk(point, kind, bytes.Total, bytes.Free, Rotates(tree, device))));
        }
        return [.. disks.Select(entry => entry.Disk).DistinctBy(disk => (disk.TotalBytes, disk.FreeBytes, disk.FileSystem)).OrderByDescending(disk => disk.FreeBytes)];
    }

    /// <summary>What the operating system says of the file system at a path.</summary>
    public static (long Total, long Free)? Space(string path)
    {
        try
        {
            var drive = new DriveInfo(path);
            return drive.IsReady ? (drive.TotalSize, drive.AvailableFreeSpace) : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    private static bool? Rotates(SystemTree tree, string device)
    {
        // A hypervisor's disk (vd…) says that it spins whatever lies beneath.
        if (!device.StartsWith("/dev/", StringComparison.Ordinal) || device.StartsWith("/dev/vd", StringComparison.Ordinal)) return null;
        var name = device[5..];
        // A partition has no queue of its own: sda1 lies on sda, nvme0n1p2 on nvme0n1.
        var whole = name.TrimEnd("0123456789".ToCharArray());
        string[] candidates = [name, whole, whole.TrimEnd('p')];
        return candidates.Select(candidate => tree.Number($"sys/block/{candidate}/queue/rotational")).FirstOrDefault(value => value is not null) is { } flag ? flag == 1 : null;
    }
}

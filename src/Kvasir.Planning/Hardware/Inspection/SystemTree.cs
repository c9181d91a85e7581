using System.Globalization;

namespace Kvasir.Planning.Hardware.Inspection;

/// <summary>The files in which Linux describes a machine (/proc, /sys), or a copy of them under another root. What cannot be read is absent.</summary>
/// <param name="root">"/", or a folder that holds "proc" and "sys".</param>
public sealed class SystemTree(string root = "/")
{
    private const int LargestFile = 1 << 20;

    /// <summary>The file's text, trimmed; null where there is none.</summary>
    public string? Text(string path)
    {
        try
        {
            using var reader = new StreamReader(Full(path));
            var buffer = new char[LargestFile];
            var length = reader.ReadBlock(buffer);
            return new string(buffer, 0, length).Trim();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return null;
        }
    }

    /// <summary>The file's lines; none where there is no file.</summary>
    public string[] Lines(string path) => Text(path)?.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    /// <summary>The number that the file holds, decimal or 0x; null where there is none.</summary>
    public long? Number(string path)
    {
        var text = Text(path);
        if (text?.StartsWith("0x", StringComparison.Ordinal) == true)
            return long.TryParse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var hex) ? hex : null;
        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    /// <summary>Names in a folder that match a pattern, in the order of the numbers in them; none where there is no folder.</summary>
    public string[] Names(string folder, string pattern = "*")
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(Full(folder), pattern).Select(path => Path.GetFileName(path)!)
                .OrderBy(name => name.Length).ThenBy(name => name, StringComparer.Ordinal)];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Whether there is a file or folder of this name.</summary>
    public bool Exists(string path) => Path.Exists(Full(path));

    /// <summary>The name at the end of a symbolic link's target ("i915" of driver → ../../bus/pci/drivers/i915); null where there is no link.</summary>
    public string? LinkName(string path)
    {
        try
        {
            return Path.GetFileName(new FileInfo(Full(path)).LinkTarget);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The name of a process; null where it cannot be seen.</summary>
    public string? ProcessName(int id) => Text($"proc/{id}/comm") is { Length: > 0 } name ? name : null;

    private string Full(string path) => Path.Combine(root, path);
}

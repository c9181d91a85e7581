using System.Text.Json;

namespace Kvasir.Checkpoints.Remote;

/// <summary>Where a model's files lie once they are here: folder/org/name, with @revision behind where it is not main.</summary>
internal sealed class HubCache(string folder, HubModel model)
{
    private const string ManifestName = ".kvasir-complete.json", PinName = ".kvasir-commit";

    // What a lock that another process holds looks like: Windows' sharing violation, EAGAIN of Linux and of macOS.
    private const int SharingViolation = unchecked((int)0x80070020), AgainOnLinux = 11, AgainOnMac = 35;

    /// <summary>The repository's folder.</summary>
    public string Folder { get; } = Path.Combine(folder, model.Organization, model.Name + (model.Revision == HubModel.MainRevision ? "" : "@" + model.Revision));

    /// <summary>What to open.</summary>
    public string Target => model.File is { } file ? Local(file) : Folder;

    /// <summary>Where a file of the repository lies or will lie.</summary>
    public string Local(string file) => Path.Combine([Folder, .. file.Split('/')]);

    /// <summary>Whether all of the model is here. A file takes its name only when it is whole and checked; a folder has a list of its files.</summary>
    public bool IsComplete() => model.File is { } file ? HubModel.SetOf(file).All(part => File.Exists(Local(part))) : ManifestHolds();

    /// <summary>Writes the list of files that make the folder complete.</summary>
    public void Complete(string? commit, IEnumerable<string> files)
    {
        var manifest = new Manifest(model.ToString(), commit, files.ToDictionary(file => file, file => new FileInfo(Local(file)).Length));
        File.WriteAllBytes(Local(ManifestName), JsonSerializer.SerializeToUtf8Bytes(manifest));
    }

    /// <summary>The commit of an unfinished download; null where there is none.</summary>
    public string? Pin
    {
        get => File.Exists(Local(PinName)) && File.ReadAllText(Local(PinName)) is { Length: 40 } commit && commit.All(char.IsAsciiHexDigit) ? commit : null;
        set
        {
            if (value is null) File.Delete(Local(PinName));
            else File.WriteAllText(Local(PinName), value);
        }
    }

    /// <summary>Takes the folder for this process alone; null while another has it.</summary>
    public FileStream? TryLock()
    {
        Directory.CreateDirectory(Folder);
        try
        {
            return new FileStream(Path.Combine(Folder, ".kvasir-lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException error) when (error.HResult is SharingViolation or AgainOnLinux or AgainOnMac)
        {
            return null;
        }
    }

    private bool ManifestHolds()
    {
        try
        {
            return JsonSerializer.Deserialize<Manifest>(File.ReadAllBytes(Local(ManifestName))) is { Files: { } files }
                && files.All(file => new FileInfo(Local(file.Key)) is { Exists: true } found && found.Length == file.Value);
        }
        catch (Exception error) when (error is IOException or JsonException)
        {
            // Absent or damaged: the hub is asked again, and files that are here stay.
            return false;
        }
    }

    private sealed record Manifest(string Model, string? Commit, Dictionary<string, long> Files);
}

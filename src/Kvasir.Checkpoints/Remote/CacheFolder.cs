namespace Kvasir.Checkpoints.Remote;

/// <summary>Where files that came over the network are kept.</summary>
public static class CacheFolder
{
    /// <summary>The environment variable that names another folder.</summary>
    public const string Variable = "KVASIR_CACHE";

    /// <summary>The folder, which need not exist: what <see cref="Variable"/> names, else kvasir in the user's cache folder (XDG_CACHE_HOME, ~/.cache; on Windows and macOS the local application data).</summary>
    public static string Path => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named ? System.IO.Path.GetFullPath(named) : System.IO.Path.Combine(OfUser(), "kvasir");

    private static string OfUser()
    {
        if (Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache && System.IO.Path.IsPathFullyQualified(cache)) return cache;
        const Environment.SpecialFolderOption unverified = Environment.SpecialFolderOption.DoNotVerify;
        if (!OperatingSystem.IsLinux()) return Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, unverified);
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, unverified);
        return home.Length > 0 ? System.IO.Path.Combine(home, ".cache") : System.IO.Path.GetTempPath();
    }
}

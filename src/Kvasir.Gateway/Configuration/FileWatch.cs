namespace Kvasir.Gateway.Configuration;

/// <summary>
/// Looks every moment whether a configuration file says something else. Contents are compared, not times: mounted
/// configuration is often swapped behind a link that no file event tells of.
/// </summary>
public sealed class FileWatch(string path, TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Runs until cancelled.</summary>
    /// <param name="current">The text that is in force.</param>
    /// <param name="changed">Called with new options.</param>
    /// <param name="refused">Called with what is wrong with a new text, once; the old options stay in force.</param>
    /// <param name="cancel">Ends it.</param>
    public async Task RunAsync(string current, Action<GatewayOptions> changed, Action<string> refused, CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(cancel))
        {
            string text;
            try
            {
                text = await File.ReadAllTextAsync(path, cancel);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // Being replaced this moment; the next look will find it.
                continue;
            }
            if (text == current) continue;
            current = text;
            try
            {
                changed(GatewayFile.Parse(Path.GetFileName(path), text));
            }
            catch (GatewayConfigurationException error)
            {
                refused(error.Message);
            }
        }
    }
}

namespace Kvasir.Checkpoints.Remote;

/// <summary>Which hub is asked, as whom, and where its files are kept.</summary>
public sealed record HubOptions
{
    /// <summary>The variable with an access token of the hub.</summary>
    public const string TokenVariable = "HF_TOKEN";
    /// <summary>The variable with the address of another hub or mirror.</summary>
    public const string EndpointVariable = "HF_ENDPOINT";
    /// <summary>The variable that keeps everything off the network when set to 1.</summary>
    public const string OfflineVariable = "HF_HUB_OFFLINE";

    /// <summary>The hub.</summary>
    public Uri Endpoint { get; init; } = new("https://huggingface.co");

    /// <summary>Access token, sent to <see cref="Endpoint"/> alone; null for none.</summary>
    public string? Token { get; init; }

    /// <summary>Whether only the cache is used.</summary>
    public bool Offline { get; init; }

    /// <summary>Folder of the downloads.</summary>
    public string Folder { get; init; } = Path.Combine(CacheFolder.Path, "hub");

    /// <summary>Attempts without a further byte before a download is given up.</summary>
    public int Attempts { get; init; } = 6;

    /// <summary>Wait after the first failed attempt; it doubles with each further one.</summary>
    public TimeSpan FirstWait { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Longest wait that is accepted from a server's Retry-After.</summary>
    public TimeSpan LongestWait { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A connection that brings nothing for so long is taken for broken.</summary>
    public TimeSpan StallTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The clock of the waits.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Reads HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and the cache folder.</summary>
    /// <exception cref="CheckpointException">HF_ENDPOINT is no address.</exception>
    public static HubOptions FromEnvironment()
    {
        var options = new HubOptions
        {
            Token = Environment.GetEnvironmentVariable(TokenVariable)?.Trim() is { Length: > 0 } token ? token : null,
            Offline = Environment.GetEnvironmentVariable(OfflineVariable)?.Trim().ToUpperInvariant() is "1" or "TRUE" or "YES" or "ON",
        };
        if (Environment.GetEnvironmentVariable(EndpointVariable) is not { Length: > 0 } endpoint) return options;
        return Uri.TryCreate(endpoint, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? options with { Endpoint = address }
            : throw new CheckpointException($"{EndpointVariable} is '{endpoint}', which is no address; write https://huggingface.co or that of a mirror.");
    }
}

namespace Kvasir.Checkpoints.Remote;

/// <summary>How far a download is.</summary>
/// <param name="File">The file that is on its way.</param>
/// <param name="Bytes">Bytes of it that are here, from earlier runs too.</param>
/// <param name="TotalBytes">Its size; null where the server does not say.</param>
/// <param name="Waiting">Why nothing moves for a while, or null.</param>
public readonly record struct HubProgress(string File, long Bytes, long? TotalBytes, string? Waiting = null);

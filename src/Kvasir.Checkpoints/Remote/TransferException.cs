namespace Kvasir.Checkpoints.Remote;

/// <summary>A transfer that failed in a way that another attempt may mend.</summary>
internal sealed class TransferException : Exception
{
    public TransferException(string message, TimeSpan? retryAfter = null, Exception? inner = null) : base(message, inner) => RetryAfter = retryAfter;

    /// <summary>How long the server asks to wait, where it does.</summary>
    public TimeSpan? RetryAfter { get; }
}

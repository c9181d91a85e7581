namespace Kvasir.Checkpoints;

/// <summary>A checkpoint is damaged, incomplete or of a kind that is not supported. The message names the file, the value and the remedy.</summary>
public sealed class CheckpointException : Exception
{
    /// <summary>Creates the error with a sentence for the user.</summary>
    public CheckpointException(string message, Exception? inner = null) : base(message, inner) { }
}

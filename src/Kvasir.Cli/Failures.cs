using System.Net.Sockets;

namespace Kvasir.Cli;

/// <summary>Turns an error into one sentence on stderr and an exit code.</summary>
public static class Failures
{
    /// <summary>The command ran and failed.</summary>
    public const int Failed = 1;
    /// <summary>The command line was wrong.</summary>
    public const int Usage = 2;
    /// <summary>Interrupted from the keyboard: 128 + SIGINT.</summary>
    public const int Interrupted = 130;

    /// <summary>Writes the sentence (and the whole error, where asked) and returns the exit code.</summary>
    public static int Report(Exception error, bool verbose, TextWriter stderr)
    {
        if (error is AggregateException { InnerExceptions.Count: 1 } aggregate) error = aggregate.InnerException!;
        if (error is OperationCanceledException and not TaskCanceledException { InnerException: TimeoutException })
        {
            stderr.WriteLine("Interrupted.");
            return Interrupted;
        }
        stderr.WriteLine(Sentence(error));
        if (verbose) stderr.WriteLine(error);
        return error is UsageException ? Usage : Failed;
    }

    private static string Sentence(Exception error) => error switch
    {
        // Messages of Kvasir's own exceptions are written for users.
        _ when error.GetType().Namespace?.StartsWith("Kvasir", StringComparison.Ordinal) == true => error.Message,
        FileNotFoundException { FileName: { } file } => $"'{file}' does not exist.",
        // The runtime says "Could not find a part of the path '…'.": the path is between the quotes.
        DirectoryNotFoundException when error.Message.Split('\'') is [_, var path, _] => $"'{path}' does not exist.",
        DirectoryNotFoundException or FileNotFoundException => error.Message,
        UnauthorizedAccessException => $"{error.Message} Check the permissions.",
        IOException or HttpRequestException or SocketException or TimeoutException => error.Message,
        InsufficientMemoryException or OutOfMemoryException => "Memory ran out. Give Kvasir a smaller --context, --max-seqs or model, or more --memory.",
        _ => $"Kvasir failed unexpectedly: {error.Message} ({error.GetType().Name}; --verbose shows where).",
    };
}

/// <summary>A command could not do its work; the message is a sentence for the user.</summary>
public sealed class CommandException : Exception
{
    /// <summary>Creates the error.</summary>
    public CommandException(string message, Exception? inner = null) : base(message, inner) { }
}

/// <summary>The command line was wrong in a way that only the command can see; the message is a sentence for the user.</summary>
public sealed class UsageException : Exception
{
    /// <summary>Creates the error.</summary>
    public UsageException(string message) : base(message) { }
}

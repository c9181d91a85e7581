using System.Text;

namespace Kvasir.Cli;

/// <summary>Reads UTF-8 from files and stdin.</summary>
public static class Input
{
    private static readonly UTF8Encoding Utf8 = new(false, false);

    /// <summary>Opens a file.</summary>
    public static StreamReader OpenText(FileInfo file) => file.Exists
        ? new StreamReader(file.FullName, Utf8)
        : throw new CommandException($"'{file.FullName}' does not exist.");

    /// <summary>Opens stdin.</summary>
    public static StreamReader OpenStandard() => new(Console.OpenStandardInput(), Utf8);
}

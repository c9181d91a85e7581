using System.Text;

namespace Kvasir.Cli;

/// <summary>Where results go: stdout, buffered, UTF-8 without a mark, line feeds alone.</summary>
public static class Output
{
    /// <summary>Opens stdout for a command that writes much; dispose it to flush.</summary>
    public static StreamWriter Open() => new(Console.OpenStandardOutput(), new UTF8Encoding(false), 1 << 16) { NewLine = "\n" };
}

using System.CommandLine;

namespace Kvasir.Cli;

/// <summary>A command whose help ends with examples.</summary>
internal sealed class KvasirCommand : Command
{
    /// <summary>Creates a command.</summary>
    /// <param name="name">The word on the command line.</param>
    /// <param name="description">One sentence.</param>
    /// <param name="examples">Command lines that work, each with an optional remark after <c>#</c>.</param>
    public KvasirCommand(string name, string description, params string[] examples) : base(name, description) =>
        Examples = examples;

    /// <summary>Command lines that work.</summary>
    public IReadOnlyList<string> Examples { get; }
}

namespace Kvasir.Checkpoints.Tokenizers.Patterns;

internal enum Operation
{
    /// <summary>One character of the set.</summary>
    Set,

    /// <summary>A run of characters of the set, as many as can be; gives back one by one.</summary>
    Run,

    /// <summary>The same, giving nothing back.</summary>
    PossessiveRun,

    /// <summary>Goes on at <c>Target</c>, later at <c>Other</c> if that fails.</summary>
    Split,
    Jump,

    /// <summary>Goes on after <c>Target</c> if the program up to there matches here (or does not, when <c>Negated</c>).</summary>
    LookAhead,

    /// <summary>The character before is in the set (or is not).</summary>
    LookBehind,

    /// <summary>What is up to <c>Target</c> matches in one way only.</summary>
    Atomic,
    TextStart,
    TextEnd,
    WordEdge,

    Match,
}

/// <summary>One step of a compiled pattern.</summary>
internal sealed record Instruction(Operation Operation)
{
    public CodePointSet? Set { get; init; }

    public int Minimum { get; init; }

    public int Maximum { get; init; }

    public bool Negated { get; init; }

    public int Target { get; set; }

    public int Other { get; set; }
}

namespace Kvasir.Cli.Diagnosis;

/// <summary>How a finding bears on serving.</summary>
internal enum Verdict
{
    /// <summary>As it should be.</summary>
    Good,
    /// <summary>Kvasir runs, but slower or with less than it could.</summary>
    Improvable,
    /// <summary>Kvasir cannot serve before it is mended.</summary>
    Broken,
}

/// <summary>One thing that was looked at.</summary>
/// <param name="Subject">What: "huge pages".</param>
/// <param name="Verdict">How it is.</param>
/// <param name="Text">What was found, a sentence without its full stop.</param>
/// <param name="Remedy">What to do; null where nothing needs doing.</param>
internal sealed record Finding(string Subject, Verdict Verdict, string Text, string? Remedy = null)
{
    /// <summary>The figure behind the text, in bytes, bytes per second or threads; null where there is none.</summary>
    public double? Value { get; init; }
}

namespace Kvasir.DemoModel.Text;

/// <summary>A word of the field: its names, what it means, and why one would care.</summary>
/// <param name="Names">The usual name first, then others that mean the same.</param>
/// <param name="Meaning">Answer to "what is it?".</param>
/// <param name="Reason">Answer to "why does it matter?".</param>
/// <param name="LongForm">What the letters stand for; null where it is no abbreviation.</param>
internal sealed record Term(string[] Names, string Meaning, string Reason, string? LongForm = null);

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>A chat template is malformed, or refused to render: what it said through <c>raise_exception</c> is the message.</summary>
public sealed class ChatTemplateException : Exception
{
    /// <summary>Creates the error.</summary>
    public ChatTemplateException(string message, int line = 0, Exception? inner = null)
        : base(line > 0 ? $"{message} (template line {line})" : message, inner) => Line = line;

    /// <summary>Line of the template, from 1; 0 where it is not known.</summary>
    public int Line { get; }
}

namespace Kvasir.Cli.Rendering;

/// <summary>What a long command is doing: one line on stderr that is overwritten, and nothing where stderr is not a terminal.</summary>
internal sealed class ProgressLine : IDisposable
{
    private readonly bool isShown = !Console.IsErrorRedirected;
    private int width;

    /// <summary>Shows <paramref name="text"/> in place of the last one.</summary>
    public void Show(string text)
    {
        if (!isShown) return;
        Console.Error.Write("\r" + text.PadRight(width));
        width = text.Length;
    }

    /// <summary>Wipes the line.</summary>
    public void Dispose()
    {
        if (isShown && width > 0) Console.Error.Write("\r" + new string(' ', width) + "\r");
    }
}

using Kvasir.Engine.Model;

namespace Kvasir.Cli.Rendering;

/// <summary>How far loading is: one line on stderr that is overwritten, and nothing at all where stderr is not a terminal.</summary>
internal sealed class LoadingBar : IProgress<LoadProgress>, IDisposable
{
    private const int Width = 30;
    private readonly bool isShown = !Console.IsErrorRedirected;
    private int shownPercent = -1;

    /// <inheritdoc/>
    public void Report(LoadProgress value)
    {
        if (!isShown || value.TotalBytes == 0) return;
        var percent = (int)(100 * value.DoneBytes / value.TotalBytes);
        if (percent == shownPercent) return;
        shownPercent = percent;
        var full = percent * Width / 100;
        Console.Error.Write($"\rloading weights {new string('█', full)}{new string('░', Width - full)} {percent,3} %");
    }

    /// <summary>Wipes the line.</summary>
    public void Dispose()
    {
        if (isShown && shownPercent >= 0) Console.Error.Write("\r" + new string(' ', Width + 24) + "\r");
    }
}

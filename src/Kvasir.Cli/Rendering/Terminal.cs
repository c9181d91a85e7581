using Spectre.Console;

namespace Kvasir.Cli.Rendering;

/// <summary>Tables for people: coloured on a terminal, plain and unwrapped in a pipe.</summary>
internal static class Terminal
{
    private const int PipeWidth = 160;

    /// <summary>Stdout.</summary>
    public static IAnsiConsole Out { get; } = Create(Console.Out, Console.IsOutputRedirected);

    /// <summary>A table with a plain frame; columns after the first are numbers.</summary>
    public static Table Table(params string[] columns)
    {
        var table = new Table { Border = TableBorder.Simple, ShowHeaders = columns.Any(column => column.Length > 0) };
        foreach (var (name, index) in columns.Select((name, index) => (name, index)))
            table.AddColumn(new TableColumn(Markup.Escape(name)) { Alignment = index == 0 ? Justify.Left : Justify.Right, NoWrap = true });
        return table;
    }

    /// <summary>Adds a row of texts that are not markup.</summary>
    public static Table Row(this Table table, params string[] cells)
    {
        table.AddRow([.. cells.Select(cell => new Text(cell))]);
        return table;
    }

    private static IAnsiConsole Create(TextWriter writer, bool isPipe)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isPipe ? AnsiSupport.No : AnsiSupport.Detect,
            Interactive = InteractionSupport.No,
        });
        if (isPipe) console.Profile.Width = PipeWidth;
        return console;
    }
}

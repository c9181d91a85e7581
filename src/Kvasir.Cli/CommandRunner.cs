using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Kvasir.Cli;

/// <summary>Parses and runs a command line. Exit codes: 0 done, 1 it failed, 2 the command line was wrong, 130 interrupted.</summary>
public static class CommandRunner
{
    /// <summary>Recursive: every command takes it.</summary>
    public static Option<bool> Verbose { get; } = new("--verbose")
    {
        Description = "Show where an error came from.",
        Recursive = true,
    };

    /// <summary>Runs the command that <paramref name="args"/> name.</summary>
    public static async Task<int> RunAsync(RootCommand root, string[] args)
    {
        root.Options.Add(Verbose);
        AddExamplesToHelp(root);
        var result = root.Parse(args, new ParserConfiguration { EnablePosixBundling = false });
        var runsCommand = result.Action is not (null or ParseErrorAction) && result.Errors.Count == 0;
        if (!runsCommand && result.Action is not (HelpAction or ExamplesHelp)) return Misuse(result);
        try
        {
            return await result.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
            });
        }
        catch (Exception error)
        {
            return Failures.Report(error, result.GetValue(Verbose), Console.Error);
        }
    }

    private static int Misuse(ParseResult result)
    {
        var path = string.Join(' ', Path(result.CommandResult.Command));
        if (result.Errors.Count == 0 || result.CommandResult.Command.Subcommands.Count > 0 && result.UnmatchedTokens.Count == 0)
        {
            // "kvasir" alone, "kvasir bench" alone: the help is the answer, though not a success.
            new HelpAction().Invoke(result);
            return 2;
        }
        // A word that is no command also means that a command is missing; once is enough.
        if (result.CommandResult.Command.Subcommands.Count > 0 && result.UnmatchedTokens is [var word, ..])
            Console.Error.WriteLine($"'{word}' is not a command of {path}.");
        else
            foreach (var error in result.Errors) Console.Error.WriteLine(error.Message);
        Console.Error.WriteLine($"See: {path} --help");
        return 2;
    }

    private static Stack<string> Path(Command command)
    {
        var names = new Stack<string>();
        for (Command? current = command; current is not null; current = current.Parents.OfType<Command>().FirstOrDefault())
            names.Push(current is RootCommand ? "kvasir" : current.Name);
        return names;
    }

    private static void AddExamplesToHelp(RootCommand root)
    {
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new ExamplesHelp((HelpAction)help.Action!);
    }

    private sealed class ExamplesHelp(HelpAction inner) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            var code = inner.Invoke(parseResult);
            if (parseResult.CommandResult.Command is not KvasirCommand { Examples.Count: > 0 } command) return code;
            var output = parseResult.InvocationConfiguration.Output;
            output.WriteLine("Examples:");
            foreach (var example in command.Examples) output.WriteLine($"  {example}");
            output.WriteLine();
            return code;
        }
    }
}

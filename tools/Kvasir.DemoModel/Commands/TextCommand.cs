using System.CommandLine;
using Kvasir.DemoModel.Text;

namespace Kvasir.DemoModel.Commands;

/// <summary>text: prints conversations as the model is trained on, or as it is examined on.</summary>
internal static class TextCommand
{
    public static Command Create()
    {
        var count = new Option<int>("--count") { Description = "conversations", DefaultValueFactory = _ => 10 };
        var seed = new Option<int>("--seed") { Description = "another seed, other conversations", DefaultValueFactory = _ => 1 };
        var heldOut = new Option<bool>("--held-out") { Description = "questions that training never sees" };
        var command = new Command("text", """
            Prints conversations of the training text.

            Examples:
              text --count 5
              text --count 5 --held-out --seed 7
            """) { count, seed, heldOut };
        command.SetAction(parse =>
        {
            var random = new Random(parse.GetValue(seed));
            for (int i = 0; i < parse.GetValue(count); i++)
                Print(parse.GetValue(heldOut) ? Author.WriteHeldOut(random) : Author.Write(random), Console.Out);
        });
        return command;
    }

    private static void Print(Conversation conversation, TextWriter output)
    {
        if (conversation.System is { } system)
            output.WriteLine($"system: {system}");
        foreach (Exchange exchange in conversation.Exchanges)
            output.WriteLine($"[{exchange.Kind}]\n  {exchange.Question}\n  → {exchange.Answer}");
        output.WriteLine();
    }
}

using System.CommandLine;
using Kvasir.DemoModel.Evaluation;
using Kvasir.DemoModel.Text;

namespace Kvasir.DemoModel.Commands;

/// <summary>evaluate: asks held-out questions through Kvasir's engine and prints a table of what was right.</summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("MODEL") { Description = "GGUF file or Hugging Face directory", DefaultValueFactory = _ => "models/demo/kvasir-demo.gguf" };
        var count = new Option<int>("--count") { Description = "conversations", DefaultValueFactory = _ => 4000 };
        var seed = new Option<int>("--seed") { Description = "another seed, other questions", DefaultValueFactory = _ => 2 };
        var wrong = new Option<int>("--wrong") { Description = "print so many wrong answers" };
        var command = new Command("evaluate", """
            Measures the answers to held-out questions: numbers, wordings, or both, that training never sees.

            Examples:
              evaluate
              evaluate models/demo/hf --count 500 --wrong 10
            """) { model, count, seed, wrong };
        command.SetAction(async (parse, cancel) =>
        {
            var random = new Random(parse.GetValue(seed));
            Conversation[] conversations = [.. Enumerable.Range(0, parse.GetValue(count)).Select(_ => Author.WriteHeldOut(random))];
            await using KvasirEngine engine = await KvasirEngine.LoadAsync(parse.GetRequiredValue(model), cancel: cancel);
            List<Mark> marks = await new Examination(engine.AsChatClient()).RunAsync(conversations, cancel);
            Print(marks, Console.Out);
            foreach (Mark mark in marks.Where(mark => !mark.IsRight).Take(parse.GetValue(wrong)))
                Console.WriteLine($"\n[{mark.Exchange.Kind}] {mark.Exchange.Question}\n  expected: {mark.Exchange.Answer}\n  answered: {mark.Answer}");
        });
        return command;
    }

    private static void Print(List<Mark> marks, TextWriter output)
    {
        output.WriteLine("| kind of question | asked | right | share | word for word |");
        output.WriteLine("|---|---:|---:|---:|---:|");
        foreach (var kind in marks.GroupBy(mark => mark.Exchange.Kind).OrderBy(kind => kind.Key, StringComparer.Ordinal))
            Row(kind.Key, [.. kind]);
        Row("**all**", marks);

        void Row(string name, List<Mark> of) => output.WriteLine(
            $"| {name} | {of.Count} | {of.Count(mark => mark.IsRight)} | {100.0 * of.Count(mark => mark.IsRight) / of.Count:F1} % | {100.0 * of.Count(mark => mark.IsExact) / of.Count:F1} % |");
    }
}

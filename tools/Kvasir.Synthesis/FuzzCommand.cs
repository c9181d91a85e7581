using System.CommandLine;
using Kvasir.Synthesis.Fuzzing;

namespace Kvasir.Synthesis;

/// <summary>fuzz: damages checkpoints for some minutes.</summary>
internal static class FuzzCommand
{
    public static Command Create()
    {
        var minutes = new Option<double>("--minutes") { Description = "how long", DefaultValueFactory = _ => 1 };
        var seed = new Option<int>("--seed") { Description = "seed of the damage", DefaultValueFactory = _ => 1 };
        var command = new Command("fuzz", "Damages checkpoints and opens them; each must open or be refused, soon and with little memory.") { minutes, seed };
        command.SetAction(result =>
        {
            var run = Fuzzer.Run(result.GetValue(seed), int.MaxValue, TimeSpan.FromMinutes(result.GetValue(minutes)));
            foreach (var failure in run.Failures.Take(100)) Console.WriteLine(failure);
            Console.WriteLine($"{run.Mutations} damaged checkpoints, {run.Refused} refused, {run.Mutations - run.Refused - run.Failures.Count} opened, {run.Failures.Count} failures");
            return run.Failures.Count == 0 ? 0 : 1;
        });
        return command;
    }
}

using System.CommandLine;
using Kvasir.DemoModel.Training;
using TorchSharp;

namespace Kvasir.DemoModel.Commands;

/// <summary>train: trains the network, or goes on from the folder's snapshot.</summary>
internal static class TrainCommand
{
    public static Command Create()
    {
        var folder = new Argument<string>("FOLDER") { Description = "holds the snapshot, written every two minutes; training goes on from it" };
        var steps = new Option<int>("--steps") { Description = "steps in all; the learning rate reaches zero at the last", DefaultValueFactory = _ => 1600 };
        var tokens = new Option<int>("--tokens") { Description = "tokens per step", DefaultValueFactory = _ => 6144 };
        var threads = new Option<int>("--threads") { Description = "threads", DefaultValueFactory = _ => Environment.ProcessorCount };
        var command = new Command("train", """
            Trains the demo model on generated text.

            Examples:
              train artifacts/demo
              train artifacts/demo --steps 2000 --threads 8
            """) { folder, steps, tokens, threads };
        command.SetAction(parse =>
        {
            torch.set_num_threads(parse.GetValue(threads));
            new Trainer(parse.GetRequiredValue(folder), parse.GetValue(steps), parse.GetValue(tokens), Console.Out).Run();
        });
        return command;
    }
}

using System.CommandLine;
using Kvasir.Synthesis;

var root = new RootCommand("Writes random checkpoints of any size, family and tensor type.");
root.Subcommands.Add(CheckpointCommand.Create());
root.Subcommands.Add(FixtureCommand.Create());
root.Subcommands.Add(FuzzCommand.Create());
return await root.Parse(args).InvokeAsync();

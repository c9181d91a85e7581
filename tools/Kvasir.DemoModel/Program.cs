using System.CommandLine;
using Kvasir.DemoModel.Commands;

var root = new RootCommand("Makes the demo model: writes its text, trains it, exports it, and measures its answers.");
root.Subcommands.Add(TextCommand.Create());
root.Subcommands.Add(VocabularyCommand.Create());
root.Subcommands.Add(TrainCommand.Create());
root.Subcommands.Add(ExportCommand.Create());
root.Subcommands.Add(EvaluateCommand.Create());
return await root.Parse(args).InvokeAsync();

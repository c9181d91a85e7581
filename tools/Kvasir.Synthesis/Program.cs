using System.CommandLine;

var root = new RootCommand("Writes random checkpoints of any size, family and tensor type.");
return await root.Parse(args).InvokeAsync();

using System.CommandLine;

var root = new RootCommand("Serve language models inside a memory budget, and know where every byte goes.");
return await root.Parse(args).InvokeAsync();

using System.CommandLine;
using Kvasir.Cli;
using Kvasir.Cli.Commands;

var root = new RootCommand("Serve language models inside a memory budget, and know where every byte goes.")
{
    ServeCommand.Create(),
    ChatCommand.Create(),
    GatewayCommand.Create(),
    MockWorkerCommand.Create(),
    SimulateCommand.Create(),
    InspectCommand.Create(),
    TokenizeCommand.Create(),
    DetokenizeCommand.Create(),
    RunCommand.Create(),
    RenderCommand.Create(),
    PerplexityCommand.Create(),
    TopCommand.Create(),
    BenchCommand.Create(),
    DoctorCommand.Create(),
    HardwareCommand.Create(),
    CalibrateCommand.Create(),
    PlanCommand.Create(),
};
return await CommandRunner.RunAsync(root, args);

using System.CommandLine;
using Kvasir.Cli.Rendering;
using Kvasir.Planning.Hardware.Inspection;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir hardware</c>: what is in this machine.</summary>
public static class HardwareCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new KvasirCommand("hardware", "Show what this machine has: GPUs and who uses them, memory and its limits, disks.",
            "kvasir hardware",
            "kvasir hardware --json")
        {
            json,
        };
        command.SetAction(parse =>
        {
            var machine = MachineInspector.Inspect();
            using var output = Output.Open();
            if (parse.GetValue(json)) output.WriteLine(MachineJson.Of(machine));
            else MachineText.Write(machine, output);
            return 0;
        });
        return command;
    }
}

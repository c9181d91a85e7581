using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints.Remote;
using Kvasir.Cli.Diagnosis;
using Kvasir.Cli.Rendering;
using Kvasir.Kernels;
using Kvasir.Planning.Hardware.Inspection;
using Spectre.Console;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir doctor</c>: is this machine fit to serve, and what would help.</summary>
public static class DoctorCommand
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new KvasirCommand("doctor",
            "Look at what decides how well this machine serves: processor and kernels, cores, memory and its limits, huge pages, bandwidth, cache folder. Exits with 1 where something must be mended.",
            "kvasir doctor",
            "kvasir doctor --json")
        {
            json,
        };
        command.SetAction(parse =>
        {
            ImmutableArray<Finding> findings = [.. new Doctor(new SystemTree()).Examine(MachineInspector.Inspect(), CacheFolder.Path, DemoModel.Find())];
            if (parse.GetValue(json)) Console.Out.WriteLine(Json(findings));
            else Write(findings, Terminal.Out);
            return findings.Any(finding => finding.Verdict == Verdict.Broken) ? Failures.Failed : 0;
        });
        return command;
    }

    private static void Write(ImmutableArray<Finding> findings, IAnsiConsole console)
    {
        var width = findings.Max(finding => finding.Subject.Length);
        var margin = new string(' ', width + 4);
        foreach (var finding in findings)
        {
            var (mark, color) = finding.Verdict switch { Verdict.Good => ('✓', Color.Green), Verdict.Improvable => ('!', Color.Yellow), _ => ('✗', Color.Red) };
            console.Write(new Text(mark.ToString(), new Style(color)));
            console.Profile.Out.Writer.WriteLine($" {finding.Subject.PadRight(width)}  {finding.Text}");
            if (finding.Remedy is { } remedy) console.Profile.Out.Writer.WriteLine($"{margin}→ {remedy}");
        }
    }

    private static string Json(ImmutableArray<Finding> findings) => new JsonObject
    {
        ["findings"] = new JsonArray([.. findings.Select(finding => new JsonObject
        {
            ["subject"] = finding.Subject,
            ["verdict"] = finding.Verdict switch { Verdict.Good => "good", Verdict.Improvable => "improvable", _ => "broken" },
            ["text"] = finding.Text,
            ["value"] = finding.Value,
            ["remedy"] = finding.Remedy,
        })]),
        ["processor_features"] = new JsonObject(ProcessorFeatures.Read().Select(feature => KeyValuePair.Create(feature.Name, (JsonNode?)feature.Present))),
        ["kernels"] = new JsonArray([.. KernelCatalog.Strategies.Select(strategy => new JsonObject
        {
            ["name"] = strategy.Name,
            ["available"] = strategy.IsAvailable,
            ["reason"] = strategy.Reason,
        })]),
    }.ToJsonString(Indented);
}

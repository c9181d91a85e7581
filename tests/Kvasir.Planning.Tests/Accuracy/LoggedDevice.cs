using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Tests.Reference;

namespace Kvasir.Planning.Tests.Accuracy;

/// <summary>The device of a logged start: its total as logged, else the catalogue's by name, else by the label's size.</summary>
internal static partial class LoggedDevice
{
    // What drivers leave of a label when nothing better is known: 79.2 of 80, 23.6 of 24, 47.4 of 48.
    private const double RuntimeOfLabel = 0.988;
    private const double ContextGibibytes = 450.0 / 1024;

    public static Device? Find(JsonElement record)
    {
        var text = record.TryGetProperty("gpu", out var gpu) ? gpu.GetString() ?? "" : "";
        var known = ByName(text);
        double? total = record.TryGetProperty("gpu_total_gib", out var logged) ? logged.GetDouble()
            : Free(text) is { } free ? free + ContextGibibytes
            : known is { } found ? Runtime(found)
            : Label(text) is { } named && SameLabel(named) is { } mean ? mean
            : record.TryGetProperty("gpu_nominal_gib", out var nominal) ? nominal.GetDouble() * RuntimeOfLabel
            : Label(text) is { } label ? label * RuntimeOfLabel : null;
        if (total is null) return null;
        var capability = known?.GetProperty("compute_capability");
        return new Device(text, (long)(total.Value * (1L << 30)))
        {
            ComputeCapability = capability is { ValueKind: JsonValueKind.String } number && double.TryParse(number.GetString(), CultureInfo.InvariantCulture, out var value) ? value : 0,
            FastLink = known?.TryGetProperty("scaleup_link_gbs_bidir", out var link) == true && link.ValueKind == JsonValueKind.Number && link.GetDouble() >= 200 || (known is null && total > 70),
            ToolBytes = known?.GetProperty("tool_total_mib") is { ValueKind: JsonValueKind.Number } tool ? tool.GetInt64() << 20 : (long)(total.Value * (1L << 30)),
            Unified = known?.GetProperty("unified_memory").ValueKind == JsonValueKind.True || text.Contains("unified", StringComparison.OrdinalIgnoreCase),
        };
    }

    private static JsonElement? ByName(string text)
    {
        var label = Label(text);
        var candidates = ReferenceData.Json("gpus/gpus.json").GetProperty("gpus").EnumerateArray()
            .Where(gpu => Designation().Match(gpu.GetProperty("name").GetString()!) is { Success: true } match
                && Regex.IsMatch(text, $@"(?<![\w]){Regex.Escape(match.Value)}(?![\w])", RegexOptions.IgnoreCase)
                && gpu.GetProperty("runtime_total_gib").ValueKind == JsonValueKind.Array)
            .ToList();
        if (candidates.Count == 0) return null;
        return label is null ? candidates[0]
            : candidates.Find(gpu => Math.Abs(gpu.GetProperty("marketing_gb").GetDouble() - label.Value) < 1) is { ValueKind: JsonValueKind.Object } exact ? exact : null;
    }

    private static double Runtime(JsonElement gpu)
    {
        var range = gpu.GetProperty("runtime_total_gib").EnumerateArray().Where(v => v.ValueKind == JsonValueKind.Number).Select(v => v.GetDouble()).ToArray();
        return range.Length == 3 ? range[2] : range.Average();
    }

    /// <summary>The mean of the catalogue's GPUs with this label, for records that name no other.</summary>
    private static double? SameLabel(double label)
    {
        var same = ReferenceData.Json("gpus/gpus.json").GetProperty("gpus").EnumerateArray()
            .Where(gpu => gpu.GetProperty("marketing_gb") is { ValueKind: JsonValueKind.Number } size && Math.Abs(size.GetDouble() - label) < 1
                && gpu.GetProperty("vendor").GetString() == "NVIDIA" && gpu.GetProperty("runtime_total_gib").ValueKind == JsonValueKind.Array)
            .Select(Runtime).ToList();
        return same.Count > 0 ? same.Average() : null;
    }

    private static double? Free(string text) => FreePattern().Match(text) is { Success: true } match ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : null;

    private static double? Label(string text) => LabelPattern().Match(text) is { Success: true } match ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : null;

    [GeneratedRegex(@"(\d+(?:\.\d+)?) GiB free")]
    private static partial Regex FreePattern();

    [GeneratedRegex(@"(\d+(?:\.\d+)?) ?GB")]
    private static partial Regex LabelPattern();

    [GeneratedRegex(@"GB10|[GH]?[ABHLTV]\d{1,3}[SG]?\b|MI\d{3}X?|RTX PRO 6000|RTX A?\d{4}(?: Ti| Ada)?|RTX 6000 Ada")]
    private static partial Regex Designation();
}

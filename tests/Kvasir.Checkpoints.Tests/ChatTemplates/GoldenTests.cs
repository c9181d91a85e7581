using System.Text.Json.Nodes;
using Kvasir.Checkpoints.ChatTemplates;

namespace Kvasir.Checkpoints.Tests.ChatTemplates;

/// <summary>Real templates and what Jinja2 makes of them under the Hugging Face conventions.</summary>
public sealed class GoldenTests
{
    private static readonly DateTimeOffset Now = new(2026, 7, 4, 0, 0, 0, TimeSpan.Zero);

    private static string? Goldens()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Kvasir.slnx")))
                return Path.GetFullPath(Path.Combine(folder.FullName, "..", "shared", "data", "chat-templates", "goldens.json"));
        return null;
    }

    [Fact]
    public void Every_golden_matches_to_the_byte()
    {
        var path = Goldens();
        Assert.SkipUnless(File.Exists(path), $"The chat-template goldens are not at {path}.");
        var differences = new List<string>();
        var cases = 0;
        foreach (var (name, entry) in JsonNode.Parse(File.ReadAllText(path!))!.AsObject())
            foreach (var golden in entry!["cases"]!.AsArray())
            {
                cases++;
                if (Difference(entry["template"]!.GetValue<string>(), golden!) is { } difference)
                    differences.Add($"{name}/{golden!["case"]}: {difference}");
            }
        Assert.True(cases > 300, $"Only {cases} goldens were found.");
        Assert.True(differences.Count == 0, $"{differences.Count} of {cases} differ:\n{string.Join("\n", differences.Take(40))}");
    }

    private static string? Difference(string template, JsonNode golden)
    {
        var expected = golden["expected"]?.GetValue<string>();
        string actual;
        try
        {
            actual = ChatTemplate.Parse(template).Render(golden["context"]!.DeepClone().AsObject(), Now);
        }
        catch (ChatTemplateException error)
        {
            return expected is null ? null : $"failed: {error.Message}";
        }
        if (expected is null) return $"expected the error {golden["error"]}, got text";
        if (expected == actual) return null;
        var at = expected.Zip(actual).TakeWhile(pair => pair.First == pair.Second).Count();
        return $"at {at}: expected {Around(expected, at)}, got {Around(actual, at)}";
    }

    private static string Around(string text, int at) => JsonValue.Create(text[Math.Max(0, at - 20)..Math.Min(text.Length, at + 40)]).ToJsonString();
}

using System.Text.RegularExpressions;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

/// <summary>docs/reference/http-api.md says what the server does.</summary>
public sealed partial class ReferenceTests(Models models)
{
    private static readonly string Reference = File.ReadAllText(Path.Combine(Root(), "docs", "reference", "http-api.md"));

    [Fact]
    public async Task Every_example_runs()
    {
        // Some of them put the model to sleep.
        await using var server = await TestServer.OwnAsync(await models.LoadRandomAsync());
        var examples = ExamplePattern().Matches(Reference);
        Assert.True(examples.Count >= 8);
        foreach (Match example in examples)
        {
            var path = example.Groups["path"].Value;
            using var response = example.Groups["body"].Success
                ? await server.PostAsync(path, example.Groups["body"].Value)
                : example.Groups["method"].Value switch
                {
                    "DELETE" => await server.Http.DeleteAsync(path),
                    "POST" => await server.PostAsync(path, ""),
                    _ => await server.Http.GetAsync(path),
                };
            Assert.True(response.IsSuccessStatusCode, $"{example.Value}: {await response.Content.ReadAsStringAsync()}");
        }
    }

    [Fact]
    public void Every_error_is_in_the_table_with_its_status() => Assert.All(
        Enum.GetValues<FailureKind>().Select(kind => new RequestFailure(kind, "")),
        failure => Assert.Contains($"| {failure.Status} | `{failure.Code}` |", Reference, StringComparison.Ordinal));

    [Fact]
    public async Task Every_metric_is_in_the_table_with_its_type()
    {
        await using var server = await TestServer.StartAsync(models.Scripted);
        await server.AskAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"a"}]}""");
        using var wrong = await server.PostAsync("/v1/chat/completions", "{}");
        var types = TypePattern().Matches(await server.Http.GetStringAsync("/metrics"));
        Assert.True(types.Count > 20);
        Assert.All(types, type => Assert.Matches($@"(?m)^\|.*`{type.Groups["name"].Value}(\{{[a-z_,]+\}})?`.*\| {type.Groups["type"].Value} \|", Reference));
    }

    [Fact]
    public async Task What_only_several_models_tell_is_in_the_table()
    {
        await using var models = await ThreeModels.StartAsync();
        await models.TextAsync(ThreeModels.Llama, "a");
        var types = TypePattern().Matches(await models.Server.Http.GetStringAsync("/metrics"));
        Assert.Contains("kvasir_model_swap_seconds", types.Select(type => type.Groups["name"].Value));
        Assert.All(types, type => Assert.Matches($@"(?m)^\|.*`{type.Groups["name"].Value}(\{{[a-z_,]+\}})?`.*\| {type.Groups["type"].Value} \|", Reference));
    }

    [Fact]
    public async Task Every_route_is_in_the_table()
    {
        await using var server = await TestServer.StartAsync(models.Scripted);
        var listing = await (await server.Http.GetAsync("/nothing")).Content.ReadAsStringAsync();
        var routes = RoutePattern().Matches(listing[listing.IndexOf("Available", StringComparison.Ordinal)..]);
        Assert.Equal(18, routes.Count);
        Assert.All(routes, route => Assert.Contains($"`{route.Value}`", Reference, StringComparison.Ordinal));
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Kvasir.slnx"))) folder = folder.Parent!;
        return folder.FullName;
    }

    [GeneratedRegex(@"^curl (-N )?(-X (?<method>\w+) )?'?\$KVASIR(?<path>[^\s']+)'?( -H '[^']*')?( -d '(?<body>[^']*)')?$", RegexOptions.Multiline)]
    private static partial Regex ExamplePattern();

    [GeneratedRegex(@"^# TYPE (?<name>kvasir_\S+) (?<type>\w+)$", RegexOptions.Multiline)]
    private static partial Regex TypePattern();

    [GeneratedRegex("(GET|POST|DELETE) /[a-z0-9_/{}]*")]
    private static partial Regex RoutePattern();
}

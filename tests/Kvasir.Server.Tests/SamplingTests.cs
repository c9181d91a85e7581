using Kvasir.Engine;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

/// <summary>A model with random weights: what is drawn depends on the seed and on nothing else.</summary>
public sealed class SamplingTests(Models models) : IAsyncLifetime
{
    private const string Path = "/v1/chat/completions";

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(models.Random);

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task The_same_seed_gives_the_same_text_whatever_else_runs()
    {
        var alone = await AnswerAsync(42);
        Assert.Equal(alone, await AnswerAsync(42));
        Assert.NotEqual(alone, await AnswerAsync(43));
        var crowd = Enumerable.Range(100, 12).Select(seed => AnswerAsync(seed, length: 20 + seed % 30, prompt: new string('x', seed))).ToList();
        var among = await Task.WhenAll(AnswerAsync(42), AnswerAsync(42), AnswerAsync(42));
        await Task.WhenAll(crowd);
        Assert.All(among, text => Assert.Equal(alone, text));
    }

    [Fact]
    public async Task Who_gave_way_to_others_says_the_same()
    {
        var engine = await KvasirEngine.LoadAsync(models.RandomPath, new KvasirOptions
        {
            Engine = new EngineOptions { Threads = 1, MemoryBytes = 1L << 30, ContextTokens = 256, KvTokens = 384, MaxSequences = 6 },
        });
        await using var tight = await TestServer.OwnAsync(engine);
        const string body = """{"prompt":"Once","max_tokens":120,"ignore_eos":true,"seed":SEED}""";
        async Task<string> AskAsync(TestServer server, int seed) =>
            (string)(await server.AskAsync("/v1/completions", body.Replace("SEED", $"{seed}", StringComparison.Ordinal)))["choices"]![0]!["text"]!;
        var expected = await Task.WhenAll(Enumerable.Range(0, 6).Select(seed => AskAsync(_server, seed)));
        Assert.Equal(expected, await Task.WhenAll(Enumerable.Range(0, 6).Select(seed => AskAsync(tight, seed))));
        Assert.True(engine.Engine.Snapshot().Preemptions > 0);
    }

    [Fact]
    public async Task Greedy_needs_no_seed()
    {
        Assert.Equal(await AnswerAsync(1, temperature: 0), await AnswerAsync(2, temperature: 0));
    }

    [Fact]
    public async Task Without_a_seed_answers_differ()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => AnswerAsync(null)));
        Assert.Equal(4, answers.Distinct().Count());
    }

    [Fact]
    public async Task Each_of_several_answers_has_its_own_seed()
    {
        var answer = await _server.AskAsync(Path, """{"messages":[{"role":"user","content":"Once"}],"seed":5,"max_tokens":16,"n":4,"ignore_eos":true}""");
        var texts = answer["choices"]!.AsArray().Select(choice => (string?)choice!["message"]!["content"]).ToArray();
        Assert.Equal(4, texts.Distinct().Count());
        var again = await _server.AskAsync(Path, """{"messages":[{"role":"user","content":"Once"}],"seed":5,"max_tokens":16,"n":4,"ignore_eos":true}""");
        Assert.Equal(texts, again["choices"]!.AsArray().Select(choice => (string?)choice!["message"]!["content"]));
    }

    [Fact]
    public async Task A_bias_decides()
    {
        var answer = await _server.AskAsync(Path, """{"messages":[{"role":"user","content":"x"}],"logit_bias":{"65":100},"max_tokens":5}""");
        Assert.Equal("AAAAA", (string?)answer["choices"]![0]!["message"]!["content"]);
        var top = await _server.AskAsync(Path, """{"messages":[{"role":"user","content":"x"}],"top_k":1,"temperature":2,"max_tokens":8,"ignore_eos":true}""");
        Assert.Equal(await AnswerAsync(1, temperature: 0, length: 8, prompt: "x"), (string?)top["choices"]![0]!["message"]!["content"]);
    }

    private async Task<string> AnswerAsync(int? seed, double temperature = 1, int length = 24, string prompt = "Once")
    {
        var answer = await _server.AskAsync(Path, $$"""
            {"messages":[{"role":"user","content":"{{prompt}}"}],"temperature":{{temperature}},"max_tokens":{{length}},"ignore_eos":true{{(seed is null ? "" : $",\"seed\":{seed}")}}}
            """);
        return (string)answer["choices"]![0]!["message"]!["content"]!;
    }
}

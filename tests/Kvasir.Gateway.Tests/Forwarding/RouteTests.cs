using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Kvasir.Gateway.Requests;

namespace Kvasir.Gateway.Tests.Forwarding;

/// <summary>Every route of the workers goes through the gateway and counts as their load.</summary>
public sealed class RouteTests
{
    [Theory]
    [InlineData("/v1/chat/completions", """{"model":"mock","messages":[{"role":"user","content":"hello there"}],"max_tokens":2}""")]
    [InlineData("/v1/completions", """{"model":"mock","prompt":"hello there","max_tokens":2}""")]
    [InlineData("/v1/embeddings", """{"model":"mock","input":"hello there"}""")]
    [InlineData("/v1/responses", """{"model":"mock","instructions":"be brief","input":"hello there"}""")]
    [InlineData("/v1/messages", """{"model":"mock","system":"be brief","messages":[{"role":"user","content":"hello there"}],"max_tokens":2}""")]
    [InlineData("/v1/rerank", """{"model":"mock","query":"hello","documents":["there"]}""")]
    [InlineData("/v1/a/route/that/nobody/knows?option=1", """{"model":"mock","prompt":"hello there"}""")]
    public async Task A_route_is_passed_on_and_counted_as_load(string path, string body)
    {
        await using var fleet = await TestFleet.StartAsync(1, _ => TestFleet.Fast with { TokenTime = TimeSpan.FromMilliseconds(200) });
        var answer = fleet.SendAsync(HttpMethod.Post, path, new StringContent(body, Encoding.UTF8, "application/json"));
        await TestFleet.UntilAsync(() => fleet.State.Fleet.Workers[0].Load.InFlight == 1);
        using var response = await answer;
        Assert.Equal((HttpStatusCode.OK, "w0"), (response.StatusCode, response.Headers.GetValues("x-kvasir-worker").Single()));
        Assert.Single(response.Headers.GetValues("x-request-id"));
        await fleet.SettleAsync();
        Assert.Equal(1, fleet.Workers[0].Answered);
    }

    [Fact]
    public async Task A_body_that_is_no_JSON_is_passed_on_as_it_is()
    {
        await using var fleet = await TestFleet.StartAsync(1);
        using var form = new MultipartFormDataContent { { new ByteArrayContent(new byte[5000]), "file", "voice.wav" }, { new StringContent("mock"), "model" } };
        using var response = await fleet.SendAsync(HttpMethod.Post, "/v1/audio/transcriptions", form);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task One_model_is_described_by_whoever_serves_it()
    {
        await using var fleet = await TestFleet.StartAsync(2, i => TestFleet.Fast with { Model = $"org/model-{i}" });
        Assert.Equal("org/model-1", (await fleet.GetAsync("/v1/models/org/model-1")).GetProperty("id").GetString());
        Assert.Equal(2, (await fleet.GetAsync("/v1/models")).GetProperty("data").GetArrayLength());
        using var missing = await fleet.SendAsync(HttpMethod.Get, "/v1/models/org/other");
        Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
    }

    [Fact]
    public async Task A_stored_response_is_asked_of_the_worker_that_keeps_it()
    {
        await using var fleet = await TestFleet.StartAsync(3, change: options => options with { Policy = "round-robin" });
        var homes = new Dictionary<string, string>();
        for (var i = 0; i < 3; i++)
        {
            using var created = await fleet.SendAsync(HttpMethod.Post, "/v1/responses", JsonContent.Create(new { model = "mock", input = TestFleet.Text(i, 200) }));
            using var answer = JsonDocument.Parse(await created.Content.ReadAsStringAsync());
            homes.Add(answer.RootElement.GetProperty("id").GetString()!, created.Headers.GetValues("x-kvasir-worker").Single());
        }
        Assert.Equal(3, homes.Values.Distinct().Count());
        foreach (var (id, home) in homes)
        {
            Assert.Equal(id, (await fleet.GetAsync($"/v1/responses/{id}")).GetProperty("id").GetString());
            using var next = await fleet.SendAsync(HttpMethod.Post, "/v1/responses", JsonContent.Create(new { model = "mock", previous_response_id = id, input = "and more" }));
            Assert.Equal(home, next.Headers.GetValues("x-kvasir-worker").Single());
        }
        await fleet.SettleAsync();
    }

    [Fact]
    public async Task Requests_go_to_the_workers_that_serve_their_model()
    {
        await using var fleet = await TestFleet.StartAsync(3, i => TestFleet.Fast with { Model = i == 0 ? "small" : "large" });
        for (var i = 0; i < 6; i++)
        {
            using var response = await fleet.PostAsync(new { model = i % 2 == 0 ? "small" : "large", messages = new[] { new { role = "user", content = TestFleet.Text(i, 400) } }, max_tokens = 2 });
            Assert.Equal(i % 2 == 0, response.Headers.GetValues("x-kvasir-worker").Single() == "w0");
        }
        await fleet.SettleAsync();
    }

    [Fact]
    public void The_systems_words_are_part_of_a_prompt_wherever_they_stand()
    {
        var (before, after) = (Read("""{"system":"be brief","messages":[{"role":"user","content":"hi"}]}"""), Read("""{"messages":[{"role":"user","content":"hi"}],"system":"be brief"}"""));
        Assert.Equal(before.Prompt.ToArray(), after.Prompt.ToArray());
        Assert.NotEqual(before.Prompt.ToArray(), Read("""{"system":"be long","messages":[{"role":"user","content":"hi"}]}""").Prompt.ToArray());
        Assert.True(before.Prompt.Length > Read("""{"messages":[{"role":"user","content":"hi"}]}""").Prompt.Length);
        Assert.Equal(Read("""{"input":"hi"}""").Prompt.ToArray(), Read("""{"input":"hi","text":{"format":{"type":"text"}}}""").Prompt.ToArray());
        // A worker's tokenizer knows of no words beside the messages.
        Assert.Equal((false, true), (before.IsTokenizable, Read("""{"messages":[]}""").IsTokenizable));
    }

    [Theory]
    [InlineData("""{"prompt":"text"}""", true)]
    [InlineData("""{"prompt":["one","two"]}""", false)]
    [InlineData("""{"input":[{"role":"user","content":"x"}]}""", false)]
    [InlineData("""{"text":"sglang"}""", true)]
    [InlineData("""{"input":"responses"}""", false)]
    [InlineData("""{"prompt":"text","text":{"format":{"type":"text"}}}""", true)]
    public void Only_one_text_is_worth_asking_a_tokenizer_for(string body, bool expected) => Assert.Equal(expected, Read(body).IsTokenizable);

    [Fact]
    public void Token_ids_are_read_where_the_client_gives_them()
    {
        Assert.Equal([1, 2, 3], Read("""{"prompt":[1,2,3]}""").Tokens!);
        Assert.Equal([4, 5], Read("""{"input_ids":[4,5]}""").Tokens!);
    }

    [Fact]
    public async Task A_tokenizer_is_asked_with_what_decides_how_messages_become_a_prompt()
    {
        var asked = new Asked();
        using var client = new HttpClient(asked);
        var tokenizer = new RemoteTokenizer(client);
        const string Body = """{"model":"m","chat_template_kwargs":{"enable_thinking":false},"messages":[{"role":"user","content":"hi"}],"temperature":0,"tools":[{"type":"function"}]}""";
        var tokens = await tokenizer.TokenizeAsync(At("vllm"), Read(Body), Encoding.UTF8.GetBytes(Body), default);
        Assert.Equal([7, 8], tokens!);
        using var sent = JsonDocument.Parse(asked.Body);
        Assert.Equal(["chat_template_kwargs", "messages", "model", "tools"], sent.RootElement.EnumerateObject().Select(field => field.Name).Order());
        const string Text = """{"prompt":"hello"}""";
        await tokenizer.TokenizeAsync(At("llama.cpp"), Read(Text), Encoding.UTF8.GetBytes(Text), default);
        Assert.Equal("""{"content":"hello"}""", asked.Body);
        Assert.Null(await tokenizer.TokenizeAsync(At("sglang"), Read(Body), Encoding.UTF8.GetBytes(Body), default));
        Assert.Null(await tokenizer.TokenizeAsync(At("max"), Read(Text), Encoding.UTF8.GetBytes(Text), default));
    }

    private static RequestEnvelope Read(string body) => RequestEnvelope.Read(Encoding.UTF8.GetBytes(body));

    private static Gateway.Fleet.Worker At(string engine) => new(0, Gateway.Fleet.WorkerAddress.Parse($"{engine}=http://worker.test:8000"), TimeProvider.System);

    private sealed class Asked : HttpMessageHandler
    {
        public string Body { get; private set; } = "";

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Body = await request.Content!.ReadAsStringAsync(cancellationToken);
            return new HttpResponseMessage(HttpStatusCode.OK) { Content = JsonContent.Create(new { count = 2, tokens = (int[])[7, 8] }) };
        }
    }
}

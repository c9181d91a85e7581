using System.Net;
using System.Text.Json.Nodes;
using Kvasir.Protocol.Memory;
using Kvasir.Server.Tests.Fixtures;

namespace Kvasir.Server.Tests;

/// <summary><c>GET /v1/memory</c>.</summary>
public sealed class MemoryTests(Models models)
{
    [Fact]
    public async Task The_tree_adds_up_to_the_ledger()
    {
        await using var server = await TestServer.OwnAsync(await models.LoadScriptedAsync());
        await server.AskAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"a long enough question, so that it fills a block of tokens: a"}]}""");
        var memory = await MemoryAsync(server);
        Assert.Equal("memory", memory.Object);
        Assert.Equal(server.Server.State.Engine!.Engine.Ledger.UsedBytes, memory.Tree.Bytes);
        Assert.Equal((memory.ReservedBytes, memory.BudgetBytes), (memory.Tree.Bytes, memory.ReservedBytes + memory.FreeBytes));
        AssertAddsUp(memory.Tree);
        var device = Assert.Single(memory.Kv.Tiers);
        Assert.True(device is { Tier: "device", CachedBytes: > 0, InUseBytes: 0, PinnedBytes: 0 });
        Assert.Equal(device.Bytes, device.CachedBytes + device.FreeBytes);
        Assert.Equal((device.CachedBytes, "scripted"), (Assert.Single(memory.Kv.Models).DeviceBytes, memory.Kv.Models[0].Model));
        Assert.Equal((device.CachedBytes, "default"), (Assert.Single(memory.Kv.Tenants).CachedBytes, memory.Kv.Tenants[0].Tenant));
        Assert.Empty(memory.Requests);
        Assert.True(memory.Totals is { GeneratedTokens: 4, PromptTokens: > 16, Steps: > 1, UptimeSeconds: > 0 });
    }

    [Fact]
    public async Task A_running_request_is_there_under_its_id()
    {
        await using var server = await TestServer.OwnAsync(await models.LoadScriptedAsync());
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent("""{"messages":[{"role":"user","content":"l"}],"stream":true,"cache_salt":"tenant"}""", null, "application/json"),
            Headers = { { "x-request-id", "my-request" } },
        };
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await (await response.Content.ReadAsStreamAsync()).ReadExactlyAsync(new byte[100]);
        var memory = await MemoryAsync(server);
        var running = Assert.Single(memory.Requests);
        Assert.True(running is { Id: "my-request", State: "running", GeneratedTokens: > 0, Bytes: > 0, Tenant.Length: 16 });
        Assert.Equal(running.Bytes + running.SharedBytes, memory.Kv.Tiers[0].InUseBytes);
    }

    [Fact]
    public async Task It_wants_a_key_and_a_model()
    {
        await using var server = await TestServer.StartAsync(null, new ServerOptions { ApiKeys = ["key"] });
        Assert.Equal(HttpStatusCode.Unauthorized, (await server.Http.GetAsync("/v1/memory")).StatusCode);
        server.Http.DefaultRequestHeaders.Add("Authorization", "Bearer key");
        using var loading = await server.Http.GetAsync("/v1/memory");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, loading.StatusCode);
        Assert.Equal("model_loading", (string?)JsonNode.Parse(await loading.Content.ReadAsStringAsync())!["error"]!["code"]);
    }

    private static async Task<MemoryAnswer> MemoryAsync(TestServer server) =>
        System.Text.Json.JsonSerializer.Deserialize(await server.Http.GetStringAsync("/v1/memory"), MemoryJson.Wire.MemoryAnswer)!;

    private static void AssertAddsUp(MemoryNode node)
    {
        if (node.Children.Count == 0) return;
        Assert.Equal(node.Bytes, node.Children.Sum(child => child.Bytes));
        Assert.All(node.Children, AssertAddsUp);
    }
}

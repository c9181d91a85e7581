using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Kvasir.Server.Tests.Fixtures;
using Kvasir.Server.Transport;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Tests;

/// <summary>Whose requests are whose, and what each may use.</summary>
public sealed class TenantTests(Models models)
{
    [Fact]
    public async Task A_key_whose_tokens_are_used_up_gets_a_429_that_says_when_to_come_back_and_others_go_on()
    {
        await using var server = await TestServer.StartAsync(models.Scripted, new ServerOptions { ApiKeys = ["one", "two"], TenantTokensPerMinute = 10 });
        // A prompt may take more than what is left, once.
        Assert.Equal(200, (int)(await PostAsync(server, "one")).StatusCode);
        var refused = await PostAsync(server, "one");
        var error = JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((429, "rate_limit_exceeded"), ((int)refused.StatusCode, (string?)error["code"]));
        var wait = refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds;
        Assert.InRange(wait, 6, 120);
        Assert.Contains($"in {wait} s", (string?)error["message"], StringComparison.Ordinal);
        Assert.Equal(200, (int)(await PostAsync(server, "two")).StatusCode);
    }

    [Fact]
    public void A_balance_refills_over_the_minute_and_counts_answers()
    {
        var clock = new HandClock();
        var tenants = new Tenants(new ServerOptions { TenantTokensPerMinute = 600 }, clock);
        Assert.Null(tenants.Charge("a", 500));
        tenants.ChargeAnswer("a", 400);
        // Below zero by 300: half a minute until it is above.
        Assert.Equal(31, tenants.Charge("a", 1)!.RetryAfterSeconds);
        clock.Seconds += 29;
        Assert.NotNull(tenants.Charge("a", 1));
        clock.Seconds += 2;
        Assert.Null(tenants.Charge("a", 1));
        Assert.Null(tenants.Charge("b", 500));
    }

    [Fact]
    public void A_request_that_did_not_begin_costs_nothing()
    {
        var tenants = new Tenants(new ServerOptions { TenantTokensPerMinute = 600 }, new HandClock());
        for (var i = 0; i < 10; i++)
        {
            Assert.Null(tenants.Charge("a", 600));
            tenants.Refund("a", 600);
        }
    }

    [Fact]
    public void Who_has_never_asked_is_not_remembered_for_ever()
    {
        var tenants = new Tenants(new ServerOptions { TenantTokensPerMinute = 600 }, new HandClock());
        for (var i = 0; i < 30_000; i++) Assert.Null(tenants.Charge($"tenant {i}", 0));
        Assert.Null(tenants.Charge("tenant 1", 600));
    }

    [Fact]
    public void A_trusted_header_tells_apart_those_who_share_a_key()
    {
        var tenants = new Tenants(new ServerOptions { TenantHeader = "x-tenant" }, TimeProvider.System);
        var (one, other, nobody) = (new DefaultHttpContext(), new DefaultHttpContext(), new DefaultHttpContext());
        one.Request.Headers["x-tenant"] = "one";
        other.Request.Headers["x-tenant"] = "other";
        Assert.Equal(3, new HashSet<string?> { tenants.Of(one, "salt"), tenants.Of(other, "salt"), tenants.Of(nobody, "salt") }.Count);
        Assert.Equal("salt", tenants.Of(nobody, "salt"));
        Assert.DoesNotContain("one", tenants.Of(one, null), StringComparison.Ordinal);
        Assert.Equal("salt", new Tenants(new ServerOptions(), TimeProvider.System).Of(one, "salt"));
    }

    [Fact]
    public async Task A_priority_is_bounded_by_what_the_operator_allows()
    {
        Assert.Equal((0, 5), (new Tenants(new ServerOptions { LeastPriority = 0 }, TimeProvider.System).Priority(-7), new Tenants(new ServerOptions { LeastPriority = 0 }, TimeProvider.System).Priority(5)));
        await using var server = await TestServer.StartAsync(models.Scripted, new ServerOptions());
        using var wrong = await server.PostAsync("/v1/completions", """{"prompt":"a","priority":-1001}""");
        Assert.Equal(400, (int)wrong.StatusCode);
        Assert.Contains("priority", await wrong.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static async Task<HttpResponseMessage> PostAsync(TestServer server, string key)
    {
        using var client = new HttpClient { BaseAddress = server.Server.Address };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var body = new StringContent("""{"prompt":"twenty letters or so","max_tokens":2}""", Encoding.UTF8, "application/json");
        return await client.PostAsync(new Uri("/v1/completions", UriKind.Relative), body);
    }

    private sealed class HandClock : TimeProvider
    {
        public double Seconds { get; set; }
        public override long TimestampFrequency => 1_000_000;
        public override long GetTimestamp() => (long)(Seconds * 1_000_000);
    }
}

using System.Globalization;
using System.Net;
using System.Text;
using Kvasir.Gateway.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kvasir.Simulation.Mock;

/// <summary>
/// A worker that computes nothing: it speaks an engine's HTTP, metrics and cache events, takes the time that an engine
/// would, and fails as it is told to.
/// </summary>
public sealed class MockWorker : IAsyncDisposable
{
    private const double TokensPerByte = 0.25;

    /// <summary>What another chat template would put before a prompt: no whole block.</summary>
    private static readonly int[] HiddenTemplate = [1, 2, 3, 4, 5, 6, 7];
    private readonly WebApplication _app;
    private readonly MockEvents? _events;
    private readonly SemaphoreSlim _prefill = new(1);
    private readonly Random _random;
    private readonly Lock _lock = new();
    private readonly HashSet<string> _responses = new(StringComparer.Ordinal);
    private int _running, _waiting;
    private long _promptTokens, _cachedTokens, _answered;

    private MockWorker(MockWorkerOptions options, WebApplication app, TimeProvider time)
    {
        (Options, _app) = (options, app);
        _random = new Random(options.Seed);
        Cache = new MockCache(options.BlockSize, options.CapacityTokens / options.BlockSize, options.EventBlockSize);
        if (options.EventPort is { } port) _events = new MockEvents(options, port, time);
    }

    /// <summary>What it pretends to be; faults may be changed while it runs.</summary>
    public MockWorkerOptions Options { get; }

    /// <summary>What it holds.</summary>
    public MockCache Cache { get; }

    /// <summary>Where it listens.</summary>
    public Uri Address { get; private set; } = new("http://localhost");

    /// <summary>Requests that were answered whole.</summary>
    public long Answered => Interlocked.Read(ref _answered);

    /// <summary>Requests inside.</summary>
    public int Inside => Volatile.Read(ref _running) + Volatile.Read(ref _waiting);

    /// <summary>The Authorization header of the last answered request, or null for none.</summary>
    public string? LastAuthorization { get; private set; }

    /// <summary>The traceparent header of the last request that was not refused, or null for none.</summary>
    public string? LastTraceParent { get; private set; }

    /// <summary>Listens.</summary>
    public static async Task<MockWorker> StartAsync(MockWorkerOptions options, TimeProvider? time = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, options.Port));
        builder.Services.AddRouting();
        var app = builder.Build();
        var worker = new MockWorker(options, app, time ?? TimeProvider.System);
        worker.Map(app);
        await app.StartAsync();
        worker.Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        return worker;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(0);
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
        _events?.Dispose();
        _prefill.Dispose();
    }

    private void Map(WebApplication app)
    {
        app.MapGet("/health", () => "ok");
        app.MapGet("/v1/models", http => WriteAsync(http, $$"""{"object":"list","data":[{"id":"{{Options.Model}}","object":"model","owned_by":"{{(Options.SgLang ? "sglang" : "vllm")}}"}]}"""));
        app.MapGet("/metrics", http => http.Response.WriteAsync(Metrics()));
        app.MapPost("/tokenize", TokenizeAsync);
        app.MapPost("/v1/chat/completions", http => AnswerAsync(http, chat: true));
        app.MapPost("/v1/completions", http => AnswerAsync(http, chat: false));
        app.MapGet("/v1/responses/{id}", RecallAsync);
        app.MapPost("/v1/{**path}", http => AnswerAsync(http, chat: false));
        if (Options.SgLang)
        {
            app.MapGet("/health_generate", () => "ok");
            app.MapGet("/server_info", http => WriteAsync(http, $$"""{"model_path":"{{Options.Model}}","page_size":{{Options.BlockSize}},"max_total_num_tokens":{{Options.CapacityTokens}}}"""));
            app.MapPost("/flush_cache", Clear);
        }
        else
        {
            app.MapGet("/ping", () => "pong");
            app.MapGet("/version", http => WriteAsync(http, """{"version":"mock"}"""));
            app.MapPost("/reset_prefix_cache", Clear);
        }
    }

    private string Clear()
    {
        var events = Cache.Clear();
        _events?.Publish(events);
        return "cleared";
    }

    private static async Task TokenizeAsync(HttpContext http)
    {
        var tokens = await ReadAsync(http);
        await WriteAsync(http, $$"""{"count":{{tokens.Prompt.Length}},"tokens":[{{string.Join(',', tokens.Prompt)}}]}""");
    }

    private static async Task<(RequestEnvelope Envelope, int[] Prompt)> ReadAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, http.RequestAborted);
        var envelope = RequestEnvelope.Read(body.ToArray());
        return (envelope, envelope.Tokens ?? PromptTokens.OfText(envelope.Prompt.Span, TokensPerByte).Ids);
    }

    private async Task AnswerAsync(HttpContext http, bool chat)
    {
        LastAuthorization = http.Request.Headers.Authorization.FirstOrDefault();
        var (envelope, prompt) = await ReadAsync(http);
        var fault = Draw();
        if (fault.Error)
        {
            http.Response.StatusCode = StatusCodes.Status500InternalServerError;
            await WriteAsync(http, """{"error":{"message":"ordered to fail","type":"server_error","code":500}}""");
            return;
        }
        if (fault.Hang) await Task.Delay(Timeout.Infinite, http.RequestAborted);
        if (Options.HidesTemplate) prompt = [.. HiddenTemplate, .. prompt];
        LastTraceParent = http.Request.Headers.TraceParent.FirstOrDefault();
        var cached = await PrefillAsync(prompt, http.RequestAborted);
        Interlocked.Increment(ref _running);
        try
        {
            var count = envelope.MaxTokens ?? 16;
            if (envelope.Stream) await StreamAsync(http, chat, prompt.Length, cached, count, fault);
            else
            {
                await Task.Delay(Options.TokenTime * count, http.RequestAborted);
                var choice = chat ? """{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"length"}""" : """{"index":0,"text":"ok","finish_reason":"length"}""";
                await WriteAsync(http, $$"""{"id":"{{NameOf(http)}}","object":"chat.completion","model":"{{Options.Model}}","choices":[{{choice}}],{{Usage(prompt.Length, cached, count)}}}""");
            }
            Interlocked.Increment(ref _answered);
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    private async Task<int> PrefillAsync(int[] prompt, CancellationToken cancel)
    {
        Interlocked.Increment(ref _waiting);
        try
        {
            await _prefill.WaitAsync(cancel);
            try
            {
                var cached = Options.HidesSalt ? 0 : Cache.Match(prompt);
                var seconds = (prompt.Length - cached) / Options.PrefillTokensPerSecond;
                if (seconds > 0.0005) await Task.Delay(TimeSpan.FromSeconds(seconds), cancel);
                _events?.Publish(Cache.Add(prompt));
                if (_events is null) Cache.Add(prompt);
                Interlocked.Add(ref _promptTokens, prompt.Length);
                Interlocked.Add(ref _cachedTokens, cached);
                return cached;
            }
            finally
            {
                _prefill.Release();
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    /// <summary>Responses are stored, by name alone.</summary>
    private string NameOf(HttpContext http)
    {
        if (!http.Request.Path.StartsWithSegments("/v1/responses")) return "mock";
        var id = $"resp_{Guid.NewGuid():N}";
        lock (_lock) _responses.Add(id);
        return id;
    }

    private Task RecallAsync(HttpContext http)
    {
        var id = (string)http.GetRouteValue("id")!;
        bool isKnown;
        lock (_lock) isKnown = _responses.Contains(id);
        http.Response.StatusCode = isKnown ? StatusCodes.Status200OK : StatusCodes.Status404NotFound;
        return WriteAsync(http, $$"""{"id":"{{id}}","object":"response"}""");
    }

    private async Task StreamAsync(HttpContext http, bool chat, int prompt, int cached, int count, Fault fault)
    {
        http.Response.ContentType = "text/event-stream";
        var delta = chat ? """{"index":0,"delta":{"content":"x"},"finish_reason":null}""" : """{"index":0,"text":"x","finish_reason":null}""";
        var chunk = Encoding.UTF8.GetBytes($$"""data: {"id":"mock","object":"chat.completion.chunk","choices":[{{delta}}]}""" + "\n\n");
        for (var i = 0; i < count; i++)
        {
            await http.Response.Body.WriteAsync(chunk, http.RequestAborted);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            if (fault.Break)
            {
                http.Abort();
                return;
            }
            if (fault.Stall) await Task.Delay(Timeout.Infinite, http.RequestAborted);
            if (i + 1 < count && Options.TokenTime > TimeSpan.Zero) await Task.Delay(Options.TokenTime, http.RequestAborted);
        }
        await http.Response.WriteAsync($$"""data: {"id":"mock","object":"chat.completion.chunk","choices":[],{{Usage(prompt, cached, count)}}}""" + "\n\ndata: [DONE]\n\n", http.RequestAborted);
    }

    private Fault Draw()
    {
        lock (_lock) return new Fault(_random.NextDouble() < Options.ErrorShare, _random.NextDouble() < Options.HangShare, _random.NextDouble() < Options.BreakShare, _random.NextDouble() < Options.StallShare);
    }

    private string Metrics()
    {
        var used = ((double)Cache.Count * Options.BlockSize / Options.CapacityTokens).ToString(CultureInfo.InvariantCulture);
        return Options.SgLang
            ? $"sglang:num_running_reqs {_running}\nsglang:num_queue_reqs {_waiting}\nsglang:token_usage {used}\nsglang:max_total_num_tokens {Options.CapacityTokens}\nsglang:page_size {Options.BlockSize}\nsglang:prompt_tokens_total {_promptTokens}\nsglang:cached_tokens_total {_cachedTokens}\n"
            : $"vllm:num_requests_running {_running}\nvllm:num_requests_waiting {_waiting}\nvllm:kv_cache_usage_perc 0\nvllm:cache_config_info{{block_size=\"{Options.BlockSize}\",num_gpu_blocks=\"{Options.CapacityTokens / Options.BlockSize}\"}} 1\nvllm:prefix_cache_queries_total {_promptTokens}\nvllm:prefix_cache_hits_total {_cachedTokens}\n";
    }

    private static string Usage(int prompt, int cached, int count) =>
        $$$"""
        "usage":{"prompt_tokens":{{{prompt}}},"completion_tokens":{{{count}}},"total_tokens":{{{prompt + count}}},"prompt_tokens_details":{"cached_tokens":{{{cached}}}}}
        """;

    private static Task WriteAsync(HttpContext http, string json)
    {
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(json, http.RequestAborted);
    }

    private readonly record struct Fault(bool Error, bool Hang, bool Break, bool Stall);
}

using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Kvasir.Gateway.Admission;
using Kvasir.Gateway.Endpoints;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Forwarding;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using Yarp.ReverseProxy.Forwarder;

namespace Kvasir.Gateway;

/// <summary>One address in front of many workers: every request goes where its memory already is.</summary>
public sealed class GatewayServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly HttpClient _probeClient;
    private readonly CancellationTokenSource _stop = new();
    private Task _probing = Task.CompletedTask;

    private GatewayServer(WebApplication app, GatewayState state, HttpClient probeClient) => (_app, State, _probeClient) = (app, state, probeClient);

    /// <summary>Where it listens.</summary>
    public Uri Address { get; private set; } = new("http://localhost");

    /// <summary>What its parts share.</summary>
    public GatewayState State { get; }

    /// <summary>Listens, and begins to probe the workers.</summary>
    /// <exception cref="GatewayConfigurationException">The options cannot be.</exception>
    public static async Task<GatewayServer> StartAsync(GatewayOptions options, TimeProvider? time = null, CancellationToken cancel = default)
    {
        var client = new HttpClient(new SocketsHttpHandler { ConnectTimeout = options.ConnectTimeout, UseProxy = false }) { Timeout = Timeout.InfiniteTimeSpan };
        var state = new GatewayState(options, time ?? TimeProvider.System, client);
        var app = Build(options, state);
        var server = new GatewayServer(app, state, client);
        try
        {
            await app.StartAsync(cancel);
        }
        catch (IOException error)
        {
            await server.DisposeAsync();
            throw new GatewayConfigurationException($"Cannot listen on {options.Host}:{options.Port}: {(error.InnerException ?? error).Message}. Choose another port with --port, or 0 for any free one.", error);
        }
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.ToArray();
        server.Address = new Uri(addresses[0]);
        state.Http2Address = addresses.Length > 1 ? addresses[1] : null;
        var probe = new WorkerProbe(state.Fleet, client, state.Time, state.Caches.Clear);
        await Task.WhenAll(state.Fleet.Workers.Select(worker => probe.ProbeAsync(worker, cancel)));
        await state.Discovery.LookAsync(cancel);
        server._probing = Task.WhenAll(probe.RunAsync(options.ProbeInterval, server._stop.Token), state.Discovery.RunAsync(server._stop.Token));
        return server;
    }

    /// <summary>Refuses new requests, waits for those inside as long as the options say, then closes.</summary>
    /// <returns>Whether all answers were finished.</returns>
    public async Task<bool> DrainAsync()
    {
        var empty = State.BeginDrain();
        using var waited = new CancellationTokenSource();
        var isEmpty = await Task.WhenAny(empty, Task.Delay(State.Options.DrainTime, State.Time, waited.Token)) == empty;
        await waited.CancelAsync();
        using var now = new CancellationTokenSource(isEmpty ? TimeSpan.FromSeconds(5) : TimeSpan.Zero);
        await _app.StopAsync(now.Token);
        return isEmpty;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _probing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _app.DisposeAsync();
        _probeClient.Dispose();
        State.Dispose();
        _stop.Dispose();
    }

    private static WebApplication Build(GatewayOptions options, GatewayState state)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddHttpForwarder();
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Warning).AddFilter("Microsoft.Extensions.Hosting", LogLevel.None)
            // What went wrong with a worker is in metrics and receipts; a line per request would drown a log.
            .AddFilter("Yarp", LogLevel.Error)
            // A host that may log a request makes a span for it, exporter or not.
            .AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None)
            .AddSimpleConsole(console => console.SingleLine = true)
            .Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.WebHost.ConfigureKestrel(kestrel => Listen(kestrel, options));
        // Nothing here blocks: a request goes on where its bytes arrived instead of through two more queues of the thread pool.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        builder.Services.AddOpenTelemetry().ConfigureResource(resource => resource.AddService("kvasir-gateway"))
            .WithTracing(tracing => GatewayTracing.Configure(tracing, options.Collector))
            .WithMetrics(metrics =>
            {
                GatewayTracing.Configure(metrics, options.Collector);
                metrics.AddMeter(state.Metrics.Name).AddPrometheusExporter(exporter => exporter.ScrapeResponseCacheDurationMilliseconds = 0);
            });
        var app = builder.Build();
        app.Use(next => http => GuardAsync(http, next, state));
        app.Use(next => http => GatewayGate.PassAsync(http, next, state.Doors));
        Map(app, state, new RequestForwarder(state, app.Services.GetRequiredService<IHttpForwarder>(), WorkerConnections.Create(options)));
        return app;
    }

    private static void Map(WebApplication app, GatewayState state, RequestForwarder forwarder)
    {
        var own = new GatewayEndpoints(state);
        string[] probe = [HttpMethods.Get, HttpMethods.Head];
        app.MapMethods("/health", probe, GatewayEndpoints.HealthAsync);
        app.MapMethods("/ready", probe, own.ReadyAsync);
        app.MapGet("/v1/models", own.ModelsAsync);
        app.MapGet("/v1/models/{**id}", own.ModelAsync);
        app.MapGet("/gateway/workers", own.WorkersAsync);
        app.MapGet("/gateway/decisions", own.DecisionsAsync);
        app.MapGet("/gateway/http2", () => state.Http2Address);
        app.MapPost("/gateway/workers/{name}/drain", own.DrainAsync);
        app.MapDelete("/gateway/workers/{name}/drain", own.DrainAsync);
        app.MapPrometheusScrapingEndpoint("/metrics");
        app.Map("/v1/{**path}", forwarder.HandleAsync);
        foreach (var path in (string[])["/tokenize", "/detokenize", "/rerank", "/v2/rerank", "/v2/embed", "/score", "/pooling", "/classify", "/generate", "/inference/v1/generate", "/completion", "/embedding", "/infill", "/apply-template"])
            app.MapPost(path, forwarder.HandleAsync);
    }

    private static async Task GuardAsync(HttpContext http, RequestDelegate next, GatewayState state)
    {
        if (state.IsDraining && http.Request.Path.StartsWithSegments("/v1"))
        {
            http.Response.Headers.Connection = "close";
            await Answers.WriteErrorAsync(http, StatusCodes.Status503ServiceUnavailable, "server_error", "draining", "The gateway is stopping and takes no new requests.", TimeSpan.FromSeconds(1));
            return;
        }
        try
        {
            await next(http);
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException error)
        {
            await Answers.WriteErrorAsync(http, error.StatusCode, "invalid_request_error", "bad_request", error.Message);
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client left; there is nobody to tell.
        }
    }

    private static void Listen(KestrelServerOptions kestrel, GatewayOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes + (1 << 20);
        var address = options.Host switch
        {
            "localhost" => IPAddress.Loopback,
            "*" => IPAddress.IPv6Any,
            _ => IPAddress.TryParse(options.Host, out var parsed) ? parsed
                : throw new GatewayConfigurationException($"'{options.Host}' is not an address to listen on; give an IP address (0.0.0.0 for all) or localhost."),
        };
        var certificate = options.Tls is { } files ? Certificate(files) : null;
        kestrel.Listen(address, options.Port, listen =>
        {
            if (certificate is not null) listen.UseHttps(certificate);
        });
        if (options.Http2Port is { } http2) kestrel.Listen(address, http2, listen => listen.Protocols = HttpProtocols.Http2);
    }

    private static X509Certificate2 Certificate(TlsFiles files)
    {
        try
        {
            return X509Certificate2.CreateFromPemFile(files.Certificate, files.Key);
        }
        catch (Exception error) when (error is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new GatewayConfigurationException($"The certificate '{files.Certificate}' with the key '{files.Key}' cannot be used: {error.Message}", error);
        }
    }

    /// <summary>Leaves signals to the command that runs the gateway, which drains before it stops.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}

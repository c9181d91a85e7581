using System.Net;
using Kvasir.Server.Endpoints;
using Kvasir.Server.Monitoring;
using Kvasir.Server.Transport;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
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

namespace Kvasir.Server;

/// <summary>The port is taken, or the address is not this machine's; the message names it and says what to do.</summary>
public sealed class ServerStartException : Exception
{
    /// <summary>Creates the error.</summary>
    public ServerStartException(string message, Exception? inner = null) : base(message, inner) { }
}

/// <summary>
/// An OpenAI-compatible HTTP server over one engine, or over several models that share one memory budget. It listens before they are loaded (<c>/ready</c> says 503 until
/// then) and, when asked to stop, lets running answers finish.
/// </summary>
public sealed class KvasirServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ServerState state;

    private KvasirServer(WebApplication app, ServerState state) => (this.app, this.state) = (app, state);

    /// <summary>Where it listens: <c>http://127.0.0.1:8080</c>.</summary>
    public Uri Address { get; private set; } = new("http://localhost");

    /// <summary>What the endpoints share.</summary>
    public ServerState State => state;

    /// <summary>Listens. The model follows by <see cref="Attach(KvasirEngine)"/> or <see cref="Attach(ModelSet)"/>.</summary>
    /// <exception cref="ServerStartException">The address cannot be listened on.</exception>
    public static async Task<KvasirServer> StartAsync(ServerOptions options, TimeProvider? time = null, CancellationToken cancel = default)
    {
        if (options.Host is not "localhost") _ = ParseAddress(options.Host);
        var state = new ServerState(options, time ?? TimeProvider.System);
        var app = Build(options, state);
        var server = new KvasirServer(app, state);
        try
        {
            await app.StartAsync(cancel);
        }
        catch (Exception error) when (error is IOException or System.Net.Sockets.SocketException)
        {
            await server.DisposeAsync();
            throw Explain(options, error);
        }
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!;
        server.Address = new Uri(addresses.Addresses.First());
        return server;
    }

    /// <summary>Makes the server ready. The engine stays the caller's.</summary>
    public void Attach(KvasirEngine engine) => state.Attach([engine], 1, engine.Engine.Ledger);

    /// <summary>Makes the server ready with several models, which it wakes and puts to sleep from now on. They stay the caller's.</summary>
    /// <exception cref="ArgumentException">There are <see cref="ServerOptions.ServedModelNames"/>, but not one for each, or not all different.</exception>
    public void Attach(ModelSet models) => state.Attach(models.Engines, models.Awake, models.Ledger);

    /// <summary>Refuses new requests, waits for those inside as long as the options say, then closes.</summary>
    /// <returns>Whether all answers were finished.</returns>
    public async Task<bool> DrainAsync()
    {
        var empty = state.BeginDrain();
        using var waited = new CancellationTokenSource();
        var isEmpty = await Task.WhenAny(empty, Task.Delay(state.Options.DrainTime, state.Time, waited.Token)) == empty;
        await waited.CancelAsync();
        using var now = new CancellationTokenSource(isEmpty ? TimeSpan.FromSeconds(5) : TimeSpan.Zero);
        await app.StopAsync(now.Token);
        return isEmpty;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        await state.DisposeAsync();
    }

    private static WebApplication Build(ServerOptions options, ServerState state)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        // What the host would log of a failed start, the exception says in one sentence.
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Warning).AddFilter("Microsoft.Extensions.Hosting", LogLevel.None)
            .AddSimpleConsole(console => console.SingleLine = true)
            .Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.WebHost.ConfigureKestrel(kestrel => Listen(kestrel, options));
        builder.Services.AddOpenTelemetry().ConfigureResource(resource => resource.AddService("kvasir"))
            .WithMetrics(metrics => AddMetrics(metrics, state.Metrics.Name));
        if (!options.CorsOrigins.IsEmpty) builder.Services.AddCors();
        var app = builder.Build();
        var guard = new Guard(new ApiKeys(options.ApiKeys), app.Services.GetRequiredService<ILogger<Guard>>());
        app.Use(next => http => guard.InvokeAsync(http, next));
        if (!options.CorsOrigins.IsEmpty)
            app.UseCors(cors => cors.WithOrigins([.. options.CorsOrigins]).AllowAnyHeader().AllowAnyMethod().WithExposedHeaders(Guard.IdHeader));
        Map(app, state);
        return app;
    }

    private static void Map(WebApplication app, ServerState state)
    {
        var models = new ModelEndpoints(state);
        var health = new HealthEndpoints(state);
        app.MapPost(Routes.ChatCompletions, new ChatCompletionsEndpoint(state).HandleAsync);
        app.MapPost(Routes.Completions, new CompletionsEndpoint(state).HandleAsync);
        app.MapGet(Routes.Models, models.ListAsync);
        // Names may hold slashes, as those of the Hugging Face hub do.
        app.MapGet(Routes.Models + "/{**id}", models.GetAsync);
        app.MapPost(Routes.Tokenize, models.TokenizeAsync);
        app.MapPost(Routes.Detokenize, models.DetokenizeAsync);
        app.MapGet(Routes.Memory, new MemoryEndpoint(state).HandleAsync);
        var kv = new KvEndpoints(state);
        app.MapGet(Routes.Kv, kv.ListAsync);
        app.MapDelete(Routes.Kv, kv.DeleteAsync);
        app.MapPost(Routes.Pin, kv.PinAsync);
        app.MapPost(Routes.Unpin, kv.UnpinAsync);
        var sleep = new SleepEndpoints(state);
        app.MapPost(Routes.Sleep, sleep.SleepAsync);
        app.MapPost(Routes.WakeUp, sleep.WakeAsync);
        app.MapGet(Routes.IsSleeping, sleep.TellAsync);
        // Some balancers ask with HEAD.
        string[] probe = [HttpMethods.Get, HttpMethods.Head];
        app.MapMethods(Routes.Health, probe, HealthEndpoints.HealthAsync);
        app.MapMethods(Routes.Ready, probe, health.ReadyAsync);
        app.MapGet(Routes.Status, health.PageAsync);
        app.MapPrometheusScrapingEndpoint(Routes.Metrics);
    }

    private static void Listen(KestrelServerOptions kestrel, ServerOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes + RequestBody.DiscardedBytes;
        if (options.Host is "localhost" && options.Port != 0) kestrel.ListenLocalhost(options.Port);
        else kestrel.Listen(options.Host is "localhost" ? IPAddress.Loopback : ParseAddress(options.Host), options.Port);
    }

    private static IPAddress ParseAddress(string host) => host is "*" ? IPAddress.IPv6Any
        : IPAddress.TryParse(host, out var address) ? address
        : throw new ServerStartException($"'{host}' is not an address to listen on; give an IP address (0.0.0.0 for all) or localhost.");

    private static void AddMetrics(MeterProviderBuilder metrics, string meter)
    {
        // The runtime's own: collections and their pauses, the managed heap, threads.
        metrics.AddMeter(meter, "System.Runtime").AddPrometheusExporter(exporter => exporter.ScrapeResponseCacheDurationMilliseconds = 0);
        View("kvasir_time_to_first_token_seconds", ServerMetrics.FirstTokenBounds);
        View("kvasir_inter_token_latency_seconds", ServerMetrics.InterTokenBounds);
        View("kvasir_request_time_per_output_token_seconds", ServerMetrics.InterTokenBounds);
        View("kvasir_e2e_request_latency_seconds", ServerMetrics.RequestBounds);
        View("kvasir_request_queue_time_seconds", ServerMetrics.RequestBounds);
        View("kvasir_request_prefill_time_seconds", ServerMetrics.RequestBounds);
        View("kvasir_request_decode_time_seconds", ServerMetrics.RequestBounds);
        View("kvasir_kv_block_idle_before_evict_seconds", ServerMetrics.BlockAgeBounds);
        View("kvasir_kv_block_lifetime_seconds", ServerMetrics.BlockAgeBounds);
        View("kvasir_model_swap_seconds", ServerMetrics.SwapBounds);

        void View(string name, double[] bounds) =>
            metrics.AddView(name, new ExplicitBucketHistogramConfiguration { Boundaries = bounds });
    }

    private static ServerStartException Explain(ServerOptions options, Exception error) =>
        new(error is AddressInUseException or IOException { InnerException: AddressInUseException }
            ? $"Port {options.Port} on {options.Host} is taken by another program. Choose another with --port, or 0 for any free one."
            : $"Cannot listen on {options.Host}:{options.Port}: {(error.InnerException ?? error).Message}", error);

    /// <summary>Leaves signals to the command that runs the server, which drains before it stops.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}

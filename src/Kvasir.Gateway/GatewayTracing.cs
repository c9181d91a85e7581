using System.Diagnostics;
using Kvasir.Gateway.Routing;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace Kvasir.Gateway;

/// <summary>Spans of requests: one per worker tried, inside the request's own, whose id goes on to the worker.</summary>
public static class GatewayTracing
{
    /// <summary>The name to listen to.</summary>
    public const string SourceName = "Kvasir.Gateway";

    private const string AspNetCore = "Microsoft.AspNetCore", Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>The collector that the usual variable names, or null.</summary>
    public static Uri? UsualCollector => Uri.TryCreate(Environment.GetEnvironmentVariable(Endpoint), UriKind.Absolute, out var address) ? address : null;

    /// <summary>Sends spans to the collector; without one none is made.</summary>
    internal static void Configure(TracerProviderBuilder tracing, Uri? collector)
    {
        if (collector is not null) tracing.AddSource(SourceName, AspNetCore).AddOtlpExporter(exporter => Direct(exporter, collector, "v1/traces"));
    }

    /// <summary>Sends figures to the collector as <c>/metrics</c> shows them.</summary>
    internal static void Configure(MeterProviderBuilder metrics, Uri? collector)
    {
        if (collector is not null) metrics.AddOtlpExporter(exporter => Direct(exporter, collector, "v1/metrics"));
    }

    /// <summary>A request is about to go to a worker; null where nobody listens.</summary>
    internal static Activity? Begin(Router.Decided decided, Uri? collector)
    {
        if (collector is null || Source.StartActivity("forward", ActivityKind.Client) is not { } span) return null;
        var receipt = decided.Receipt;
        span.SetTag("kvasir.request", receipt.Request);
        span.SetTag("kvasir.worker", receipt.Chosen);
        span.SetTag("kvasir.policy", receipt.Policy);
        span.SetTag("kvasir.attempt", receipt.Attempt);
        span.SetTag("kvasir.candidates", receipt.CandidateCount);
        span.SetTag("kvasir.cached_tokens.predicted", receipt.PredictedCachedTokens);
        span.SetTag("gen_ai.request.model", receipt.Model);
        return span;
    }

    /// <summary>It came back.</summary>
    internal static void End(Activity? span, DecisionReceipt receipt, bool failed)
    {
        if (span is null) return;
        span.SetTag("kvasir.cached_tokens.actual", receipt.ActualCachedTokens);
        span.SetTag("gen_ai.usage.input_tokens", receipt.ActualPromptTokens);
        span.SetTag("kvasir.first_token_seconds", receipt.FirstTokenSeconds);
        span.SetTag("kvasir.outcome", receipt.Outcome);
        if (failed) span.SetStatus(ActivityStatusCode.Error, receipt.Outcome);
        span.Dispose();
    }

    /// <summary>What the variables say of protocol, headers and time limits stays; over HTTP each signal has a path of its own.</summary>
    private static void Direct(OtlpExporterOptions exporter, Uri collector, string path)
    {
        var isHttp = exporter.Protocol == OtlpExportProtocol.HttpProtobuf;
        exporter.Endpoint = isHttp ? new Uri(collector.AbsoluteUri.TrimEnd('/') + "/" + path) : collector;
    }
}

using System.Net;

namespace Kvasir.Gateway.Forwarding;

/// <summary>Connections to workers: kept, many at a time, nothing followed, unpacked or remembered.</summary>
internal static class WorkerConnections
{
    public static HttpMessageInvoker Create(GatewayOptions options) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        EnableMultipleHttp2Connections = true,
        ConnectTimeout = options.ConnectTimeout,
        // Whoever forwards writes traceparent; without a collector a client's passes as any other header does.
        ActivityHeadersPropagator = null,
        PooledConnectionLifetime = TimeSpan.FromMinutes(10),
    }, disposeHandler: true);
}

using System.Text;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Server.Endpoints;

/// <summary><c>GET /health</c>: the process lives. <c>GET /ready</c>: it takes requests. <c>GET /</c>: a page for people.</summary>
internal sealed class HealthEndpoints(ServerState state)
{
    public static Task HealthAsync(HttpContext http) => WriteAsync(http, StatusCodes.Status200OK, "ok");

    public Task ReadyAsync(HttpContext http) =>
        state.IsDraining ? WriteAsync(http, StatusCodes.Status503ServiceUnavailable, "draining")
        : state.Turns is not { } turns ? WriteAsync(http, StatusCodes.Status503ServiceUnavailable, "loading")
        : state.Models.All(turns.IsHeld) ? WriteAsync(http, StatusCodes.Status503ServiceUnavailable, "sleeping")
        : WriteAsync(http, StatusCodes.Status200OK, "ready");

    public Task PageAsync(HttpContext http)
    {
        http.Response.ContentType = "text/html; charset=utf-8";
        return http.Response.WriteAsync(StatusPage.Render(state), http.RequestAborted);
    }

    private static Task WriteAsync(HttpContext http, int status, string word)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        return http.Response.Body.WriteAsync(Encoding.UTF8.GetBytes($$"""{"status":"{{word}}"}"""), http.RequestAborted).AsTask();
    }
}

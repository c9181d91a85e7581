using System.Net;
using Kvasir.Gateway.Forwarding;
using Microsoft.AspNetCore.Http;

namespace Kvasir.Gateway.Admission;

/// <summary>Keeps strangers out: probes are for anybody, the gateway's own pages for this machine and admins, all else for tenants.</summary>
internal static class GatewayGate
{
    private static readonly object Key = new();

    public static Task PassAsync(HttpContext http, RequestDelegate next, Doorkeeper doors)
    {
        var path = http.Request.Path;
        if (!doors.WantsKeys || path.StartsWithSegments("/health") || path.StartsWithSegments("/ready"))
        {
            http.Items[Key] = Allowance.Unbounded;
            return next(http);
        }
        var allowance = doors.Recognize(http.Request.Headers.Authorization);
        if (path.StartsWithSegments("/gateway") || path.StartsWithSegments("/metrics"))
            return http.Connection.RemoteIpAddress is { } from && IPAddress.IsLoopback(from) || allowance is { Tenant.IsAdmin: true } ? next(http)
                : Answers.WriteErrorAsync(http, StatusCodes.Status403Forbidden, "invalid_request_error", "not_admin", "This page is for the gateway's own machine and for tenants with admin: true.");
        if (allowance is null)
        {
            http.Response.Headers.WWWAuthenticate = "Bearer";
            return Answers.WriteErrorAsync(http, StatusCodes.Status401Unauthorized, "invalid_request_error", "invalid_api_key",
                "The request carries no key that this gateway knows; send one as 'Authorization: Bearer KEY'.");
        }
        http.Items[Key] = allowance;
        return next(http);
    }

    /// <summary>Whose request this is.</summary>
    public static Allowance AllowanceOf(HttpContext http) => (Allowance)http.Items[Key]!;
}

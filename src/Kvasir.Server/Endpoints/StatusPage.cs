using System.Net;
using System.Text;
using Kvasir.Checkpoints;
using Kvasir.Server.Turns;

namespace Kvasir.Server.Endpoints;

/// <summary>One page that says what is served and where its memory is.</summary>
internal static class StatusPage
{
    private const string Style =
        "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1c2833;background:#fdfdfb}"
        + "table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:left}"
        + "td.n{text-align:right;font-variant-numeric:tabular-nums}code{background:#f0f0ea;padding:.1rem .3rem}"
        + "@media(prefers-color-scheme:dark){body{background:#14181c;color:#dde}td,th{border-color:#333}code{background:#222}}";

    public static string Render(ServerState state)
    {
        var page = new StringBuilder("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">")
            .Append("<title>Kvasir</title><style>").Append(Style).Append("</style><h1>Kvasir</h1>");
        if (state.Models.IsEmpty) return page.Append("<p>The model is loading.</p></html>").ToString();
        page.Append("<p>Serves <b>").Append(WebUtility.HtmlEncode(string.Join(", ", state.ModelNames))).Append("</b>")
            .Append(state.IsDraining ? ", finishing its last requests" : "").Append(".</p>");
        foreach (var model in state.Models) Model(page, state, model);
        if (state.Models.Length > 1)
            page.Append("<p>").Append(new ByteSize(state.Ledger!.FreeBytes)).Append(" of ").Append(new ByteSize(state.Ledger.BudgetBytes)).Append(" are free.</p>");
        return page.Append("<p>Programs speak to <code>").Append(Routes.ChatCompletions).Append("</code>; figures are at <a href=\"/metrics\"><code>")
            .Append(Routes.Metrics).Append("</code></a>.</p></html>").ToString();
    }

    private static void Model(StringBuilder page, ServerState state, ServedModel model)
    {
        var (engine, isOneOfSeveral) = (model.Engine.Engine, state.Models.Length > 1);
        var snapshot = engine.Snapshot();
        if (isOneOfSeveral) page.Append("<h2>").Append(WebUtility.HtmlEncode(model.Name)).Append(": ").Append(model.State).Append("</h2>");
        page.Append(isOneOfSeveral ? "<h3>Requests</h3><table>" : "<h2>Requests</h2><table>");
        Row(page, "running", $"{snapshot.Running}");
        Row(page, "waiting", $"{snapshot.Waiting}");
        if (isOneOfSeveral) Row(page, "waiting for it to wake", $"{state.Turns!.Waiting(model)}");
        Row(page, "prompt tokens computed", $"{snapshot.PromptTokens:N0}");
        Row(page, "tokens generated", $"{snapshot.GeneratedTokens:N0}");
        Row(page, "KV blocks in use", $"{snapshot.KvBlocksUsed:N0} of {snapshot.KvBlocks:N0}");
        Row(page, "longest context", $"{engine.ContextTokens:N0} tokens");
        page.Append(isOneOfSeveral ? "</table><h3>Memory</h3><table>" : "</table><h2>Memory</h2><table>");
        foreach (var line in snapshot.Ledger) Row(page, line.Name, new ByteSize(line.Bytes).ToString());
        if (!isOneOfSeveral) Row(page, "free in the budget", new ByteSize(state.Ledger!.FreeBytes).ToString());
        page.Append("</table>");
    }

    private static void Row(StringBuilder page, string name, string value) =>
        page.Append("<tr><td>").Append(WebUtility.HtmlEncode(name)).Append("</td><td class=\"n\">").Append(WebUtility.HtmlEncode(value)).Append("</td></tr>");
}

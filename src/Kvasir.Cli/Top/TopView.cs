using Kvasir.Checkpoints;
using Kvasir.Cli.Rendering;
using Kvasir.Protocol.Memory;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Kvasir.Cli.Top;

/// <summary>What <c>kvasir top</c> shows: totals, memory by owner, the KV cache by tier and tenant, requests.</summary>
internal static class TopView
{
    private const int BarWidth = 24, MostTenants = 6, MostRequests = 12;

    public static IRenderable Render(Uri address, MemoryAnswer memory, Rates? rates)
    {
        var parts = new List<IRenderable>
        {
            new Text($"{string.Join(", ", memory.Kv.Models.Select(Name))} at {address.ToString().TrimEnd('/')}, up {Span(memory.Totals.UptimeSeconds)}"),
            new Text($"{Requests(memory, "running")} running, {Requests(memory, "waiting") + memory.Kv.Models.Sum(model => model.Waiting ?? 0)} waiting; {Speed(rates)}"),
            new Text($"prefix cache hits {Percent(rates?.HitRate)} now, {Percent(Share(memory.Totals.PrefixHitTokens, memory.Totals.PrefixQueryTokens))} since the start; "
                + $"{memory.Totals.Preemptions:N0} preemptions, {memory.Totals.Evictions:N0} evictions"),
            Owners(memory),
            Tiers(memory.Kv),
        };
        if (memory.Kv.Tenants.Count > 1) parts.Add(Tenants(memory.Kv.Tenants));
        if (memory.Requests.Count > 0) parts.Add(RequestTable(memory.Requests));
        return new Rows(parts);
    }

    private static Table Owners(MemoryAnswer memory)
    {
        var table = Terminal.Table("memory", "bytes", "");
        foreach (var (name, bytes, depth) in Flat(memory.Tree.Children, 0).Append(("free in the budget", memory.FreeBytes, 0)))
            Add(table, new string(' ', 2 * depth) + name, Size(bytes), depth == 0 ? Bar(bytes, memory.BudgetBytes) : "");
        Add(table, "budget", Size(memory.BudgetBytes), "");
        Add(table, "resident", Size(memory.Process.ResidentBytes), "");
        return table;
    }

    private static IEnumerable<(string Name, long Bytes, int Depth)> Flat(IEnumerable<MemoryNode> nodes, int depth) =>
        nodes.SelectMany(node => Flat(node.Children, depth + 1).Prepend((node.Name, node.Bytes, depth)));

    private static Table Tiers(KvMemoryUse kv)
    {
        var table = Terminal.Table("KV tier", "in use", "pinned", "cached", "free", "full in", "");
        foreach (var tier in kv.Tiers.Where(tier => tier.Bytes > 0))
            Add(table, tier.Tier, Size(tier.InUseBytes), Size(tier.PinnedBytes), Size(tier.CachedBytes), Size(tier.FreeBytes),
                tier.SecondsUntilFull is { } seconds ? Span(seconds) : "-", Bar(tier.Bytes - tier.FreeBytes, tier.Bytes));
        return table;
    }

    private static Table Tenants(IReadOnlyList<TenantMemory> tenants)
    {
        var table = Terminal.Table("tenant", "in use", "pinned", "cached", "host", "disk");
        foreach (var tenant in tenants.Take(MostTenants))
            Add(table, tenant.Tenant, Size(tenant.InUseBytes), Size(tenant.PinnedBytes), Size(tenant.CachedBytes), Size(tenant.HostBytes), Size(tenant.DiskBytes));
        if (tenants.Count > MostTenants) Add(table, $"and {tenants.Count - MostTenants} more", "", "", "", "", "");
        return table;
    }

    private static Table RequestTable(IReadOnlyList<RequestMemory> requests)
    {
        var table = Terminal.Table("request", "state", "prompt", "cached", "generated", "own KV", "shared KV", "for");
        foreach (var request in requests.OrderBy(request => request.State == "running" ? 0 : 1).Take(MostRequests))
            Add(table, Short(request.Id ?? "-"), request.Model is { } model ? $"{request.State} ({model})" : request.State, $"{request.PromptTokens:N0}", $"{request.CachedTokens:N0}", $"{request.GeneratedTokens:N0}",
                Size(request.Bytes), Size(request.SharedBytes), Span(request.Seconds));
        if (requests.Count > MostRequests) Add(table, $"and {requests.Count - MostRequests} more", "", "", "", "", "", "", "");
        return table;
    }

    /// <summary>A model, and where there are several whether it is awake and how many wait for it to wake.</summary>
    private static string Name(ModelMemory model) => model.State is null ? model.Model
        : model.Waiting > 0 ? $"{model.Model} ({model.State}, {model.Waiting} wait)" : $"{model.Model} ({model.State})";

    private static void Add(Table table, params string[] cells) => table.AddRow([.. cells.Select(cell => new Text(cell))]);

    private static int Requests(MemoryAnswer memory, string state) => memory.Requests.Count(request => request.State == state);

    private static string Speed(Rates? rates) => rates is null ? "…" : $"{rates.GeneratedTokens:0.0} tokens/s generated, {rates.PromptTokens:0.0} tokens/s of prompts computed, busy {Percent(rates.Busy)}";

    private static string Bar(long bytes, long whole)
    {
        var filled = whole <= 0 ? 0 : (int)Math.Clamp(Math.Round((double)bytes / whole * BarWidth), bytes > 0 ? 1 : 0, BarWidth);
        return new string('█', filled) + new string('░', BarWidth - filled);
    }

    private static double? Share(long part, long whole) => whole > 0 ? (double)part / whole : null;

    private static string Percent(double? share) => share is { } value ? $"{100 * value:0.0} %" : "-";

    private static string Size(long bytes) => bytes == 0 ? "0" : new ByteSize(bytes).ToString();

    private static string Short(string id) => id.Length <= 24 ? id : id[..23] + "…";

    private static string Span(double seconds) => seconds switch
    {
        < 100 => $"{seconds:0.0} s",
        < 5400 => $"{seconds / 60:0} min",
        < 172_800 => $"{seconds / 3600:0.0} h",
        _ => $"{seconds / 86_400:0} d",
    };
}

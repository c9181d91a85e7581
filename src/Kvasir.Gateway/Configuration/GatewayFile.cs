using System.Collections.Immutable;
using Kvasir.Adapters;
using Kvasir.Gateway.Admission;
using Kvasir.Gateway.Discovery;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Policies;

namespace Kvasir.Gateway.Configuration;

/// <summary>Reads the gateway's options from YAML; docs/reference/gateway.md lists the names.</summary>
public static class GatewayFile
{
    private const int MostRanks = 64, HashDigits = 64;
    private const double LongestSeconds = 86_400, MostPerMinute = 1e12;

    /// <summary>Reads a file.</summary>
    /// <param name="path">Where it is.</param>
    /// <exception cref="GatewayConfigurationException">It is not there, or something in it is wrong: the message names the line.</exception>
    public static GatewayOptions Read(string path)
    {
        try
        {
            return Parse(Path.GetFileName(path), File.ReadAllText(path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GatewayConfigurationException($"The configuration '{path}' cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Reads a file's text.</summary>
    /// <param name="name">The file's name, for errors.</param>
    /// <param name="text">YAML.</param>
    /// <exception cref="GatewayConfigurationException">Something in it is wrong: the message names the line.</exception>
    public static GatewayOptions Parse(string name, string text)
    {
        var root = YamlSection.Parse(name, text);
        var plain = new GatewayOptions();
        var options = plain with
        {
            Host = root.Text("host") ?? plain.Host,
            Port = root.Whole("port", 0, 65_535) ?? plain.Port,
            Http2Port = root.Whole("http2Port", 0, 65_535),
            Tls = Tls(root.Section("tls")),
            Policy = Known(root, "policy", root.Text("policy") ?? plain.Policy),
            Shadows = [.. root.Texts("shadows").Select(policy => Known(root, "shadows", policy))],
            MaxAttempts = root.Whole("maxAttempts", 1, 16) ?? plain.MaxAttempts,
            TimeToFirstTokenGoal = root.Seconds("ttftGoalSeconds", 0.001, LongestSeconds),
            ProbeInterval = root.Seconds("probeSeconds", 0.1, LongestSeconds) ?? plain.ProbeInterval,
            ConnectTimeout = root.Seconds("connectSeconds", 0.01, LongestSeconds) ?? plain.ConnectTimeout,
            IdleTimeout = root.Seconds("idleSeconds", 0.1, LongestSeconds) ?? plain.IdleTimeout,
            DrainTime = root.Seconds("drainSeconds", 0, LongestSeconds) ?? plain.DrainTime,
            MaxIndexBytes = root.Whole("maxIndexMebibytes", 1, 1 << 20) is { } mebibytes ? mebibytes * (1L << 20) : plain.MaxIndexBytes,
            MaxBodyBytes = root.Whole("maxBodyBytes", 1, int.MaxValue) ?? plain.MaxBodyBytes,
            MaxInside = root.Whole("maxInside", 1, int.MaxValue) ?? plain.MaxInside,
            MaxWaiting = root.Whole("maxWaiting", 0, int.MaxValue) ?? plain.MaxWaiting,
            Workers = Read(root.Sections("workers"), Worker, ("name", worker => worker.Name)),
            Discoveries = [.. root.Sections("discovery").Select(Source)],
            Tenants = Read(root.Sections("tenants"), TenantOf, ("name", tenant => tenant.Name), ("keySha256", tenant => tenant.KeyHash)),
        };
        root.End();
        if (options.Workers.IsEmpty && options.Discoveries.IsEmpty) throw new GatewayConfigurationException($"{name} names no worker; list them under workers: or say under discovery: where they are found.");
        return options;
    }

    private static WorkerAddress Worker(YamlSection section)
    {
        var address = section.Address("url", "http", "https") ?? throw section.Wrong("url", "a worker lacks url");
        var worker = new WorkerAddress
        {
            Name = section.Text("name") ?? address.Authority,
            Address = new Uri(address.GetLeftPart(UriPartial.Authority)),
            Engine = Engine(section),
            Model = section.Text("model"),
            ApiKey = Secret(section, "apiKeyVariable"),
            Metrics = section.Address("metrics", "http", "https"),
            KvEvents = Events(section, Engine(section)),
            KvReplay = Trimmed(section.Address("kvReplay", "tcp")),
            DataParallelRanks = section.Whole("dataParallelRanks", 1, MostRanks) ?? 1,
            CapacityTokens = section.Whole("capacityTokens", 1, int.MaxValue),
        };
        section.End();
        return worker;
    }

    private static WorkerDiscovery Source(YamlSection section)
    {
        var source = new WorkerDiscovery
        {
            Dns = section.Text("dns"),
            KubernetesService = section.Text("kubernetesService"),
            Namespace = section.Text("namespace"),
            Port = section.Whole("port", 1, 65_535) ?? throw section.Wrong("port", "an entry of discovery lacks port"),
            Interval = section.Seconds("everySeconds", 1, LongestSeconds) ?? WorkerDiscovery.Usual,
            Engine = Engine(section),
            Model = section.Text("model"),
            ApiKey = Secret(section, "apiKeyVariable"),
            KvEventPort = section.Whole("kvEventPort", 1, 65_535),
            KvReplayPort = section.Whole("kvReplayPort", 1, 65_535),
        };
        section.End();
        if (source.Dns is null == source.KubernetesService is null) throw section.Wrong("dns", "an entry of discovery needs either dns or kubernetesService");
        return source;
    }

    private static Tenant TenantOf(YamlSection section)
    {
        var hash = section.Required("keySha256");
        if (hash.Length != HashDigits || !hash.All(char.IsAsciiHexDigit))
            throw section.Wrong("keySha256", "keySha256 is not 64 hexadecimal digits; `printf %s KEY | sha256sum` prints them");
        var tenant = new Tenant
        {
            Name = section.Required("name"),
            KeyHash = hash.ToLowerInvariant(),
            Priority = section.Parsed<RequestPriority>("priority", "high, normal or low", text => text switch
            {
                "high" => RequestPriority.High, "normal" => RequestPriority.Normal, "low" => RequestPriority.Low, _ => null,
            }) ?? RequestPriority.Normal,
            IsAdmin = section.Parsed<bool>("admin", "true or false", text => bool.TryParse(text, out var value) ? value : null) ?? false,
            Weight = section.Number("weight", 0.001, 1000) ?? 1,
            RequestsPerMinute = section.Number("requestsPerMinute", 0.001, MostPerMinute),
            TokensPerMinute = section.Number("tokensPerMinute", 1, MostPerMinute),
        };
        section.End();
        return tenant;
    }

    private static TlsFiles? Tls(YamlSection? section)
    {
        if (section is null) return null;
        var files = new TlsFiles(section.Required("certificate"), section.Required("key"));
        section.End();
        return files;
    }

    private static EngineKind? Engine(YamlSection section) =>
        section.Parsed<EngineKind>("engine", $"an engine ({string.Join(", ", EngineAdapter.KnownNames)})", text => EngineAdapter.Named(text)?.Kind);

    /// <summary>Secrets stay out of the file: it names the environment variable that holds one.</summary>
    private static string? Secret(YamlSection section, string name) => section.Text(name) is not { } variable ? null
        : Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : throw section.Wrong(name, $"the environment variable {variable} is not set");

    /// <summary>Where events come from, in a way that the engine knows; where they are asked for, its path may be left out.</summary>
    private static string? Events(YamlSection section, EngineKind? engine)
    {
        if (section.Address("kvEvents", "tcp", "http", "https") is not { } address) return null;
        var wire = address.Scheme == "tcp" ? KvEventWire.ZeroMq : KvEventWire.Http;
        if (engine is { } kind && EngineAdapter.Of(kind) is var adapter && !adapter.Events.Contains(wire))
            throw section.Wrong("kvEvents", adapter.Events.IsEmpty ? $"{adapter.Names[0]} tells no cache events" : $"kvEvents: {adapter.Names[0]} tells cache events under {string.Join(" or ", adapter.Events.Select(Scheme))}");
        if (wire == KvEventWire.ZeroMq) return Trimmed(address);
        return address.AbsolutePath != "/" ? address.AbsoluteUri : new Uri(address, EngineAdapter.Of(EngineKind.TensorRtLlm).EventPath!).AbsoluteUri;

        static string Scheme(KvEventWire wire) => wire == KvEventWire.ZeroMq ? "tcp://" : "http://";
    }

    private static string? Trimmed(Uri? address) => address?.ToString().TrimEnd('/');

    private static string Known(YamlSection section, string name, string policy) => PolicyCatalog.Find(policy) is not null ? policy
        : throw section.Wrong(name, $"'{policy}' is not a policy; choose among {string.Join(", ", PolicyCatalog.Names)}");

    /// <summary>Reads entries of which no two may agree in any of <paramref name="unique"/>.</summary>
    private static ImmutableArray<T> Read<T>(IEnumerable<YamlSection> sections, Func<YamlSection, T> read, params (string Field, Func<T, string> Of)[] unique)
    {
        var items = ImmutableArray.CreateBuilder<T>();
        foreach (var section in sections)
        {
            var item = read(section);
            foreach (var (field, of) in unique)
                if (items.Any(other => of(other) == of(item))) throw section.Wrong(field, $"an entry before has the {field} '{of(item)}' too; each needs one of its own");
            items.Add(item);
        }
        return items.ToImmutable();
    }
}

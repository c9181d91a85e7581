using System.CommandLine;
using System.Net;
using Kvasir.Checkpoints;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;
using Kvasir.Server;
using Kvasir.Server.Events;

namespace Kvasir.Cli;

/// <summary>The flags of <c>kvasir serve</c> that concern serving rather than the model.</summary>
internal sealed class ServeFlags
{
    private readonly Option<string> host = new("--host") { Description = "Address to listen on; 0.0.0.0 for every one of this machine.", DefaultValueFactory = _ => "127.0.0.1" };
    private readonly Option<int> port = new("--port") { Description = "TCP port; 0 takes a free one.", DefaultValueFactory = _ => 8080 };
    private readonly Option<int> sequences = new("--max-seqs") { Description = "Sequences that run at once.", DefaultValueFactory = _ => new EngineOptions().MaxSequences };
    private readonly Option<int> queue = new("--max-queue") { Description = "Requests that may wait; further ones get 429.", DefaultValueFactory = _ => new EngineOptions().MaxQueue };
    private readonly Option<int> chunk = new("--chunk") { Description = "Prompt tokens computed in one step.", DefaultValueFactory = _ => new EngineOptions().ChunkTokens };
    private readonly Option<string[]> keys = new("--api-key") { Description = "Key that requests must carry; may be repeated.", DefaultValueFactory = _ => [] };
    private readonly Option<FileInfo?> keyFile = new("--api-key-file") { Description = "File with one key per line.", HelpName = "F" };
    private readonly Option<string[]> names = new("--served-model-name") { Description = "Name that the model answers to; may be repeated. With several models, a name for each, in order.", DefaultValueFactory = _ => [] };
    private readonly Option<string[]> origins = new("--cors-origin") { Description = "Origin that browsers may call from, * for any; may be repeated.", DefaultValueFactory = _ => [] };
    private readonly Option<string?> events = new("--kv-events") { Description = "Publish which KV blocks come and go, as vLLM does, at this ZeroMQ address: tcp://*:5557.", HelpName = "ADDRESS" };
    private readonly Option<string?> replay = new("--kv-events-replay") { Description = "Send missed KV events again to who asks at this address: tcp://*:5558.", HelpName = "ADDRESS" };
    private readonly Option<string> topic = new("--kv-events-topic") { Description = "Topic of the KV events.", DefaultValueFactory = _ => "" };
    private readonly Option<double> tenantShare = new("--tenant-kv-share") { Description = "Share of the KV cache that one API key (or cache_salt) may hold while there are others: by its running requests, and in every tier by what is kept of it.", DefaultValueFactory = _ => new EngineOptions().TenantKvShare };
    private readonly Option<long> tenantTokens = new("--tenant-tokens-per-minute") { Description = "Tokens, of prompts and answers, that one API key (or cache_salt) may use per minute; further requests get 429. 0: any number.", HelpName = "N" };
    private readonly Option<string?> tenantHeader = new("--tenant-header") { Description = "Header by which a proxy you trust tells apart those who share a key: each is a tenant.", HelpName = "NAME" };
    private readonly Option<int> leastPriority = new("--least-priority") { Description = "Lowest priority number that requests may ask for (lower ones run first): 0 keeps anybody from overtaking.", DefaultValueFactory = _ => new ServerOptions().LeastPriority };
    private readonly Option<double> pins = new("--kv-pin-share") { Description = "Share of the KV cache that pinned prefixes may hold, 0 to 1.", DefaultValueFactory = _ => new EngineOptions().KvPinShare };
    private readonly Option<string> body = new("--max-body") { Description = "Largest request body.", DefaultValueFactory = _ => "4MiB" };
    private readonly Option<double> drain = new("--drain-seconds") { Description = "How long running answers may take to finish after SIGTERM.", DefaultValueFactory = _ => 30 };
    private readonly Option<int> awake = new("--awake") { Description = "Of several models, how many are awake at a time, each with an equal share of --memory; the others wake when they are asked.", DefaultValueFactory = _ => 1, HelpName = "N" };
    private readonly Option<double> modelWait = new("--model-wait-seconds") { Description = "How long a request waits for one of several models to wake; after that it gets 503.", DefaultValueFactory = _ => new ServerOptions().ModelWait.TotalSeconds };
    private readonly Option<double> keepAlive = new("--keep-alive-seconds") { Description = "Silence on a stream after which a comment is sent.", DefaultValueFactory = _ => 15 };

    /// <summary>Adds the flags to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[host, port, sequences, queue, chunk, keys, keyFile, names, origins, events, replay, topic, pins, tenantShare, tenantTokens, tenantHeader, leastPriority, body, drain, keepAlive, awake, modelWait])
            command.Options.Add(option);
    }

    /// <summary>The engine's options with those that only serving needs.</summary>
    /// <exception cref="UsageException">A value is wrong.</exception>
    public EngineOptions Apply(ParseResult parse, EngineOptions options)
    {
        var tokens = parse.GetValue(chunk);
        options = options with
        {
            MaxSequences = parse.GetValue(sequences),
            MaxQueue = parse.GetValue(queue),
            KvPinShare = parse.GetValue(pins),
            TenantKvShare = parse.GetValue(tenantShare),
            ChunkTokens = tokens,
            MixedChunkTokens = Math.Min(tokens, options.MixedChunkTokens),
        };
        return options.Problem() is { } problem ? throw new UsageException(problem) : options;
    }

    /// <summary>The server's options.</summary>
    /// <exception cref="UsageException">A value is wrong.</exception>
    public ServerOptions Read(ParseResult parse)
    {
        var address = parse.GetRequiredValue(host);
        if (address is not ("localhost" or "*") && !IPAddress.TryParse(address, out _))
            throw new UsageException($"--host '{address}' is not an address to listen on; give an IP address (0.0.0.0 for all) or localhost.");
        return new ServerOptions
        {
            Host = address,
            Port = parse.GetValue(port) is >= 0 and <= 65535 and var number ? number : throw new UsageException($"--port {parse.GetValue(port)} is not between 0 and 65535."),
            ApiKeys = [.. Keys(parse)],
            TenantTokensPerMinute = parse.GetValue(tenantTokens) is >= 0 and var tokens ? tokens : throw new UsageException($"--tenant-tokens-per-minute {parse.GetValue(tenantTokens)} is below 0."),
            TenantHeader = parse.GetValue(tenantHeader) is not { } named ? null : IsHeader(named) ? named : throw new UsageException($"--tenant-header '{named}' is not the name of a header; write letters, digits and dashes: x-tenant."),
            LeastPriority = parse.GetValue(leastPriority) is >= -SamplingFields.MostPriority and <= SamplingFields.MostPriority and var least ? least
                : throw new UsageException($"--least-priority {parse.GetValue(leastPriority)} is not between -{SamplingFields.MostPriority} and {SamplingFields.MostPriority}."),
            ServedModelNames = [.. parse.GetValue(names) ?? []],
            CorsOrigins = [.. parse.GetValue(origins) ?? []],
            MaxBodyBytes = ByteSize.TryParse(parse.GetRequiredValue(body), out var size) && size.Bytes > 0 ? size.Bytes
                : throw new UsageException($"--max-body '{parse.GetValue(body)}' is not a size; write 4MiB or a number of bytes."),
            DrainTime = Seconds("--drain-seconds", parse.GetValue(drain), 0),
            KeepAliveInterval = Seconds("--keep-alive-seconds", parse.GetValue(keepAlive), 0.1),
            ModelWait = Seconds("--model-wait-seconds", parse.GetValue(modelWait), 1),
        };
    }

    /// <summary>How many models may be awake at a time.</summary>
    public int Awake(ParseResult parse) => parse.GetValue(awake);

    /// <summary>Where KV events are published; null for nowhere.</summary>
    /// <exception cref="UsageException">The flags contradict each other.</exception>
    public KvEventOptions? Events(ParseResult parse)
    {
        if (parse.GetValue(events) is { } address) return new KvEventOptions(address, parse.GetValue(replay), parse.GetRequiredValue(topic));
        return parse.GetValue(replay) is null && parse.GetRequiredValue(topic).Length == 0 ? null
            : throw new UsageException("--kv-events-replay and --kv-events-topic belong to --kv-events; give its address too, such as tcp://*:5557.");
    }

    private IEnumerable<string> Keys(ParseResult parse)
    {
        foreach (var key in parse.GetValue(keys) ?? [])
            yield return key.Length > 0 ? key : throw new UsageException("--api-key is empty.");
        if (parse.GetValue(keyFile) is not { } file) yield break;
        using var reader = Input.OpenText(file);
        var count = 0;
        while (reader.ReadLine() is { } line)
        {
            if (line.Trim() is not { Length: > 0 } key) continue;
            count++;
            yield return key;
        }
        if (count == 0) throw new UsageException($"--api-key-file '{file.FullName}' holds no key.");
    }

    private static bool IsHeader(string name) => name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    private static TimeSpan Seconds(string name, double value, double least) => value >= least && value <= 86400
        ? TimeSpan.FromSeconds(value)
        : throw new UsageException($"{name} {value} is not between {least} and 86400.");
}

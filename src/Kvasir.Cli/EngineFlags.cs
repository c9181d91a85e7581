using System.CommandLine;
using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Engine;
using Kvasir.Engine.KvCache;
using Kvasir.Kernels;

namespace Kvasir.Cli;

/// <summary>The flags that every command that runs a model takes.</summary>
public sealed class EngineFlags
{
    private readonly Option<string?> _memory = new("--memory") { Description = "Bound on the whole process: 4GiB. Without it, what the machine can spare." };
    private readonly Option<int?> _context = new("--context") { Description = "Most tokens of one sequence. Without it, what the model allows and memory holds." };
    private readonly Option<int?> _threads = new("--threads") { Description = "Threads that compute. Without it, one per core." };
    private readonly Option<string> _kvType = KvTypeOption();
    private readonly Option<string> _kvCanary = new("--kv-canary")
    {
        Description = "How much keys and values below 16 bits may raise the perplexity of a short text at start: 2%, or off not to try.", DefaultValueFactory = _ => "2%",
    };
    private readonly Option<bool> _noPrefixCache = new("--no-prefix-cache") { Description = "Compute every prompt anew instead of sharing keys and values of what began alike." };
    private readonly Option<string> _eviction = new("--eviction") { Description = "Which kept keys and values give way first: lru, slru or arc.", DefaultValueFactory = _ => "arc" };
    private readonly Option<string?> _kvHost = new("--kv-host") { Description = "Main memory, out of --memory, for keys and values that give way: 8GiB." };
    private readonly Option<string?> _kvDisk = new("--kv-disk") { Description = "Disk for keys and values, kept over restarts: 100GiB:/var/cache/kvasir." };
    private readonly Option<string?> _kvDiskKey = new("--kv-disk-key") { Description = "File with 32 bytes that seal what --kv-disk writes (AES-256-GCM)." };
    private readonly Option<string?> _kvRemote = new("--kv-remote") { Description = "Redis server that shares keys and values between machines, through --kv-host: redis://cache:6379.", HelpName = "URL" };
    private readonly Option<string> _kvWrites = new("--kv-write") { Description = "Which of them go to --kv-disk and --kv-remote: all that a request leaves, reused (by a second request), or evicted (when they give way on the device, and at the end).", DefaultValueFactory = _ => "all" };
    private readonly Option<bool> _mapped = new("--mmap") { Description = "Use the weights where they lie in the file: starts at once, computes slower." };

    /// <summary>Adds the flags to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_memory, _context, _threads, _kvType, _kvCanary, _noPrefixCache, _eviction, _kvHost, _kvDisk, _kvDiskKey, _kvRemote, _kvWrites, _mapped]) command.Options.Add(option);
    }

    /// <summary>The options that a command line gives.</summary>
    /// <exception cref="UsageException">A value is wrong.</exception>
    public EngineOptions Read(ParseResult parse)
    {
        var options = new EngineOptions
        {
            MemoryBytes = Size("--memory", parse.GetValue(_memory)),
            ContextTokens = parse.GetValue(_context),
            Threads = parse.GetValue(_threads),
            KvFormat = KvType(parse.GetRequiredValue(_kvType)),
            KvCanaryBound = Bound(parse.GetRequiredValue(_kvCanary)),
            PrefixCache = !parse.GetValue(_noPrefixCache),
            Eviction = EvictionOf(parse.GetRequiredValue(_eviction)),
            KvHostBytes = Size("--kv-host", parse.GetValue(_kvHost)) ?? 0,
            KvDisk = Disk(parse.GetValue(_kvDisk), parse.GetValue(_kvDiskKey)),
            KvRemote = Remote(parse.GetValue(_kvRemote)),
            KvWrites = parse.GetRequiredValue(_kvWrites).ToUpperInvariant() switch
            {
                "ALL" => KvWriteFilter.All,
                "REUSED" => KvWriteFilter.Reused,
                "EVICTED" => KvWriteFilter.Evicted,
                var other => throw new UsageException($"--kv-write '{other.ToLowerInvariant()}' is not known; all, reused and evicted are."),
            },
            Warn = Console.Error.WriteLine,
            Mapped = parse.GetValue(_mapped),
        };
        return options.Problem() is { } problem ? throw new UsageException(problem) : options;
    }

    /// <summary>The eviction policy that <c>--eviction</c> names.</summary>
    /// <exception cref="UsageException">There is none of the name.</exception>
    public static EvictionKind EvictionOf(string name) => name.ToUpperInvariant() switch
    {
        "LRU" => EvictionKind.Lru,
        "SLRU" => EvictionKind.SegmentedLru,
        "ARC" => EvictionKind.Arc,
        _ => throw new UsageException($"--eviction '{name}' is not known; lru, slru and arc are."),
    };

    /// <summary>The flag for how keys and values are stored.</summary>
    internal static Option<string> KvTypeOption() => new Option<string>("--kv-dtype") { Description = $"How keys and values are stored: {string.Join(", ", KvFormats.Names)}, or apart: k=q8_0,v=q4_0.", DefaultValueFactory = _ => "f16" };

    /// <summary>Reads that flag.</summary>
    /// <exception cref="UsageException">No such type.</exception>
    internal static KvFormats KvType(string text) => KvFormats.TryParse(text, out var formats) ? formats
        : throw new UsageException($"--kv-dtype '{text}' is not known; {string.Join(", ", KvFormats.Names)} are, and k=q8_0,v=q4_0 for keys and values apart.");

    private static double? Bound(string text)
    {
        if (text.Equals("off", StringComparison.OrdinalIgnoreCase)) return null;
        return text.EndsWith('%') && double.TryParse(text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var percent) ? percent / 100
            : throw new UsageException($"--kv-canary '{text}' is neither a share nor off; write 2%, 0.5% or off.");
    }

    private static long? Size(string flag, string? text) =>
        text is null ? null
        : ByteSize.TryParse(text, out var size) && size.Bytes > 0 ? size.Bytes
        : throw new UsageException($"{flag} '{text}' is not a size; write 4GiB, 512MiB or a number of bytes.");

    private static KvDiskOptions? Disk(string? text, string? keyFile)
    {
        if (text is null) return keyFile is null ? null : throw new UsageException("--kv-disk-key seals what --kv-disk writes; give that too.");
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 1 || colon == text.Length - 1)
            throw new UsageException($"--kv-disk '{text}' is not a size and a folder; write 100GiB:/var/cache/kvasir.");
        return new KvDiskOptions(Path.GetFullPath(text[(colon + 1)..]), Size("--kv-disk", text[..colon])!.Value, keyFile is null ? null : Key(keyFile));
    }

    private static KvRemoteOptions? Remote(string? text) =>
        text is null ? null
        : Uri.TryCreate(text, UriKind.Absolute, out var address) ? new KvRemoteOptions(address)
        : throw new UsageException($"--kv-remote '{text}' is not an address; write redis://host:6379, or rediss:// for TLS.");

    private static byte[] Key(string file)
    {
        if (!File.Exists(file)) throw new UsageException($"--kv-disk-key '{file}' does not exist; make one with: head -c 32 /dev/urandom > {file}");
        var length = new FileInfo(file).Length;
        return length == KvDiskOptions.KeyBytes ? File.ReadAllBytes(file) : throw new UsageException($"--kv-disk-key '{file}' has {length} bytes, but a key has {KvDiskOptions.KeyBytes}.");
    }
}

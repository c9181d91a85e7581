using System.Collections.Immutable;
using System.Globalization;
using MessagePack;

namespace Kvasir.Protocol.KvEvents;

/// <summary>
/// Reads KV event batches as vLLM, SGLang and TensorRT-LLM publish them: MessagePack, batch and events each as a
/// positional array (vLLM before June 2026, SGLang) or as a map, in any key order, with missing tails and unknown keys.
/// </summary>
/// <remarks>Positions and names follow vLLM's <c>vllm/distributed/kv_events.py</c>.</remarks>
public static class KvEventReader
{
    /// <summary>Longest list of blocks or tokens that one event may carry.</summary>
    public const int MaximumItemsPerEvent = 1 << 20;

    private const int MaximumDepth = 16;
    private const char Separator = '\0';

    /// <summary>Kinds of vLLM's cache groups that do not keep the whole text.</summary>
    private static readonly string?[] PartialKinds =
        ["sliding_window", "sliding_window_mla", "chunked_local_attention", "mamba", "encoder_only_attention", "cross_attention"];

    private static readonly string[] BatchFields = ["ts", "events", "data_parallel_rank"];
    private static readonly string[] StoredFields =
        ["type", "block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium", "lora_name", "extra_keys", "group_idx", "kv_cache_spec_kind"];
    private static readonly string[] RemovedFields = ["type", "block_hashes", "medium", "group_idx"];

    /// <summary>Reads one batch. False, with a reason, when the payload is not one; unknown event types are skipped.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> payload, out KvEventBatch batch, out string? error)
    {
        batch = new KvEventBatch(0, []);
        error = null;
        try
        {
            var reader = new MessagePackReader(payload);
            batch = ReadBatch(ref reader);
            return true;
        }
        catch (Exception exception) when (exception is MessagePackSerializationException or EndOfStreamException or FormatException
            or OverflowException or ArgumentOutOfRangeException)
        {
            error = $"Not a KV event batch ({payload.Length} bytes): {exception.Message}";
            return false;
        }
    }

    private static KvEventBatch ReadBatch(ref MessagePackReader reader)
    {
        double timestamp = 0;
        int? rank = null;
        var events = ImmutableArray.CreateBuilder<KvEvent>();
        var fields = new FieldCursor(ref reader, BatchFields);
        while (fields.Next(ref reader, out var name))
        {
            switch (name)
            {
                case "ts": timestamp = ReadNumber(ref reader); break;
                case "data_parallel_rank" or "attn_dp_rank": rank = ReadOptionalInt(ref reader); break;
                case "events":
                    var count = CheckedCount(reader.ReadArrayHeader());
                    for (var i = 0; i < count; i++)
                        if (ReadEvent(ref reader) is { } item) events.Add(item);
                    break;
                default: Skip(ref reader); break;
            }
        }
        return new KvEventBatch(timestamp, events.ToImmutable(), rank);
    }

    /// <summary>An event, or null where its type is unknown: a newer engine's, which must not cost the rest of the batch.</summary>
    private static KvEvent? ReadEvent(ref MessagePackReader reader)
    {
        var type = PeekType(reader);
        switch (type)
        {
            case "BlockStored": return ReadStored(ref reader);
            case "BlockRemoved": return ReadRemoved(ref reader);
            case "AllBlocksCleared": Skip(ref reader); return new AllBlocksCleared();
            default: Skip(ref reader); return null;
        }
    }

    /// <summary>The reader is passed by value: the caller's stays in front of the event.</summary>
    private static string? PeekType(MessagePackReader reader)
    {
        if (reader.NextMessagePackType == MessagePackType.Array)
            return reader.ReadArrayHeader() > 0 && reader.NextMessagePackType == MessagePackType.String ? reader.ReadString() : null;
        if (reader.NextMessagePackType != MessagePackType.Map) return null;
        for (var left = reader.ReadMapHeader(); left > 0; left--)
        {
            if (reader.ReadString() == "type") return reader.ReadString();
            Skip(ref reader);
        }
        return null;
    }

    private static BlocksStored ReadStored(ref MessagePackReader reader)
    {
        ImmutableArray<BlockKey> blocks = [];
        BlockKey? parent = null;
        ImmutableArray<int> tokens = [];
        ImmutableArray<string?> extra = [];
        int blockSize = 0, group = 0;
        string? adapterName = null, adapterId = null, salt = null;
        var isPartial = false;
        var tier = KvTier.Device;
        var fields = new FieldCursor(ref reader, StoredFields);
        while (fields.Next(ref reader, out var name))
        {
            switch (name)
            {
                case "block_hashes": blocks = ReadKeys(ref reader); break;
                case "parent_block_hash": parent = reader.TryReadNil() ? null : ReadKey(ref reader); break;
                case "token_ids": tokens = ReadTokens(ref reader); break;
                case "block_size": blockSize = reader.ReadInt32(); break;
                case "lora_id": adapterId = ReadOptionalInt(ref reader)?.ToString(CultureInfo.InvariantCulture); break;
                // SGLang puts a map with the salt here.
                case "lora_name" when reader.NextMessagePackType == MessagePackType.Map: salt = ReadSalt(ref reader); break;
                case "lora_name": adapterName = reader.ReadString(); break;
                case "cache_salt" or "metadata": salt = ReadSalt(ref reader); break;
                case "kv_cache_spec_kind": isPartial = PartialKinds.Contains(reader.ReadString()); break;
                case "medium": tier = ReadTier(ref reader); break;
                case "group_idx": group = ReadOptionalInt(ref reader) ?? 0; break;
                case "extra_keys": extra = ReadExtraKeys(ref reader); break;
                default: Skip(ref reader); break;
            }
        }
        // Blocks that move between tiers are told without tokens, and sometimes without a size.
        if (blockSize < 0 || blockSize == 0 && !tokens.IsEmpty) throw new FormatException($"BlockStored with a block size of {blockSize}.");
        // A salt that is told of every page is part of the first one's name alone.
        if (salt is not null && parent is null && blocks.Length > 0) extra = [salt, .. Enumerable.Repeat<string?>(null, blocks.Length - 1)];
        return new BlocksStored
        {
            Blocks = blocks, Parent = parent, Tokens = tokens, BlockSize = blockSize, Tier = tier,
            Adapter = adapterName ?? adapterId, ExtraKeys = Without(adapterName, extra), Group = group, IsPartial = isPartial,
        };
    }

    private static BlocksRemoved ReadRemoved(ref MessagePackReader reader)
    {
        ImmutableArray<BlockKey> blocks = [];
        var tier = KvTier.Device;
        var group = 0;
        var fields = new FieldCursor(ref reader, RemovedFields);
        while (fields.Next(ref reader, out var name))
        {
            switch (name)
            {
                case "block_hashes": blocks = ReadKeys(ref reader); break;
                case "medium": tier = ReadTier(ref reader); break;
                case "group_idx": group = ReadOptionalInt(ref reader) ?? 0; break;
                default: Skip(ref reader); break;
            }
        }
        return new BlocksRemoved { Blocks = blocks, Tier = tier, Group = group };
    }

    private static ImmutableArray<BlockKey> ReadKeys(ref MessagePackReader reader)
    {
        var keys = ImmutableArray.CreateBuilder<BlockKey>(CheckedCount(reader.ReadArrayHeader()));
        for (var i = 0; i < keys.Capacity; i++) keys.Add(ReadKey(ref reader));
        return keys.MoveToImmutable();
    }

    private static BlockKey ReadKey(ref MessagePackReader reader)
    {
        if (reader.NextMessagePackType == MessagePackType.Binary)
        {
            var bytes = reader.ReadBytes() ?? default;
            if (bytes.Length is 0 or > 64) throw new FormatException($"A block key of {bytes.Length} bytes.");
            Span<byte> copy = stackalloc byte[(int)bytes.Length];
            System.Buffers.BuffersExtensions.CopyTo(bytes, copy);
            return BlockKey.FromBytes(copy);
        }
        // Negative integers have their own MessagePack codes; SGLang's keys are signed.
        return reader.NextCode is >= MessagePackCode.MinNegativeFixInt or (>= MessagePackCode.Int8 and <= MessagePackCode.Int64)
            ? BlockKey.FromInteger(unchecked((ulong)reader.ReadInt64()))
            : BlockKey.FromInteger(reader.ReadUInt64());
    }

    /// <summary>Token ids; speculative decoders publish pairs [token, next], of which the first counts.</summary>
    private static ImmutableArray<int> ReadTokens(ref MessagePackReader reader)
    {
        if (reader.TryReadNil()) return [];
        var tokens = ImmutableArray.CreateBuilder<int>(CheckedCount(reader.ReadArrayHeader()));
        for (var i = 0; i < tokens.Capacity; i++)
        {
            if (reader.NextMessagePackType == MessagePackType.Array)
            {
                var width = reader.ReadArrayHeader();
                if (width == 0) throw new FormatException("An empty token.");
                tokens.Add(unchecked((int)reader.ReadUInt32()));
                for (var skipped = 1; skipped < width; skipped++) Skip(ref reader);
            }
            else tokens.Add(unchecked((int)reader.ReadUInt32()));
        }
        return tokens.MoveToImmutable();
    }

    /// <summary>Per block nothing, or a list of what went into its name: texts as they are, all else by its bytes.</summary>
    private static ImmutableArray<string?> ReadExtraKeys(ref MessagePackReader reader)
    {
        if (reader.TryReadNil()) return [];
        var keys = ImmutableArray.CreateBuilder<string?>(CheckedCount(reader.ReadArrayHeader()));
        for (var i = 0; i < keys.Capacity; i++)
        {
            if (reader.TryReadNil())
            {
                keys.Add(null);
                continue;
            }
            if (reader.NextMessagePackType != MessagePackType.Array)
            {
                keys.Add(ReadExtraKey(ref reader));
                continue;
            }
            var parts = new string[CheckedCount(reader.ReadArrayHeader())];
            for (var part = 0; part < parts.Length; part++) parts[part] = ReadExtraKey(ref reader);
            keys.Add(string.Join(Separator, parts));
        }
        return keys.MoveToImmutable();
    }

    private static string ReadExtraKey(ref MessagePackReader reader)
    {
        if (reader.NextMessagePackType == MessagePackType.String) return reader.ReadString()!;
        var start = reader.Position;
        Skip(ref reader);
        return Convert.ToHexString(System.Buffers.BuffersExtensions.ToArray(reader.Sequence.Slice(start, reader.Position)));
    }

    /// <summary>vLLM counts the adapter's name among the extra keys of every block, newer releases besides telling it on its own.</summary>
    private static ImmutableArray<string?> Without(string? adapter, ImmutableArray<string?> keys)
    {
        if (adapter is null || keys.IsEmpty) return keys;
        return [.. keys.Select(key => key == adapter ? null : key?.StartsWith(adapter + Separator, StringComparison.Ordinal) == true ? key[(adapter.Length + 1)..] : key)];
    }

    private static string? ReadSalt(ref MessagePackReader reader)
    {
        if (reader.TryReadNil()) return null;
        if (reader.NextMessagePackType == MessagePackType.String) return reader.ReadString();
        string? salt = null;
        for (var left = reader.ReadMapHeader(); left > 0; left--)
        {
            if (reader.ReadString() == "cache_salt" && reader.NextMessagePackType == MessagePackType.String) salt = reader.ReadString();
            else Skip(ref reader);
        }
        return salt;
    }

    private static KvTier ReadTier(ref MessagePackReader reader) => reader.ReadString()?.ToUpperInvariant() switch
    {
        null or "GPU" or "DEVICE" => KvTier.Device,
        "CPU" or "CPU_PINNED" or "CPU_TIER1" or "HOST" => KvTier.Host,
        "DISK" or "STORAGE" or "NVME" or "CPU_TIER2" => KvTier.Disk,
        _ => KvTier.Remote,
    };

    private static int? ReadOptionalInt(ref MessagePackReader reader) => reader.TryReadNil() ? null : reader.ReadInt32();

    private static double ReadNumber(ref MessagePackReader reader) =>
        reader.NextMessagePackType == MessagePackType.Integer ? reader.ReadInt64() : reader.ReadDouble();

    /// <summary>Skips one value. The library's own skip recurses without a bound, and a hostile payload would overflow the stack.</summary>
    private static void Skip(ref MessagePackReader reader, int depth = 0)
    {
        if (depth > MaximumDepth) throw new FormatException($"Values nested deeper than {MaximumDepth}.");
        var items = reader.NextMessagePackType switch
        {
            MessagePackType.Array => reader.ReadArrayHeader(),
            MessagePackType.Map => 2L * reader.ReadMapHeader(),
            _ => -1,
        };
        if (items < 0) reader.Skip();
        for (var i = 0L; i < items; i++) Skip(ref reader, depth + 1);
    }

    private static int CheckedCount(int count) =>
        count <= MaximumItemsPerEvent ? count : throw new FormatException($"A list of {count} items; at most {MaximumItemsPerEvent} are read.");

    /// <summary>Walks the fields of an array (by position) or a map (by name), so that both shapes have one reader.</summary>
    private struct FieldCursor
    {
        private readonly string[] _names;
        private readonly bool _isMap;
        private readonly int _count;
        private int _index;

        public FieldCursor(ref MessagePackReader reader, string[] names)
        {
            _names = names;
            _isMap = reader.NextMessagePackType == MessagePackType.Map;
            _count = _isMap ? reader.ReadMapHeader() : reader.ReadArrayHeader();
        }

        public bool Next(ref MessagePackReader reader, out string? name)
        {
            name = null;
            if (_index >= _count) return false;
            name = _isMap ? reader.ReadString() : _index < _names.Length ? _names[_index] : null;
            _index++;
            return true;
        }
    }
}

using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Gateway.Index;

/// <summary>
/// Reads the events that TensorRT-LLM's <c>POST /kv_cache_events</c> answers with: objects of <c>event_id</c>, <c>window_size</c>,
/// perhaps <c>attention_dp_rank</c>, and <c>data</c> of type created, stored, removed or updated.
/// </summary>
/// <remarks>Names follow <c>KVCacheEventSerializer</c> in <c>tensorrt_llm/_utils.py</c>.</remarks>
internal sealed class TensorRtEvents
{
    private const int LargestWindow = 1 << 30, LongestBlock = 1 << 16;
    private int _blockTokens;

    /// <summary>An event's number, and the rank it is of.</summary>
    public static (ulong? Number, int Rank) Place(JsonElement item) => item.ValueKind != JsonValueKind.Object ? (null, 0)
        : (item.TryGetProperty("event_id", out var id) && id.ValueKind == JsonValueKind.Number && id.TryGetUInt64(out var number) ? number : null,
            item.TryGetProperty("attention_dp_rank", out var rank) && rank.ValueKind == JsonValueKind.Number && rank.TryGetInt32(out var at) ? at : 0);

    /// <summary>What an event says: nothing where its type is unknown, null where it cannot be read.</summary>
    public ImmutableArray<KvEvent>? Read(JsonElement item)
    {
        try
        {
            var data = item.GetProperty("data");
            // Layers with a window keep a cache of their own; the widest says how far a prefix reaches.
            var group = LargestWindow - (item.TryGetProperty("window_size", out var window) && window.ValueKind == JsonValueKind.Number ? Math.Clamp(window.GetInt32(), 0, LargestWindow) : 0);
            return data.GetProperty("type").GetString() switch
            {
                "created" or "all_cleared" => [new AllBlocksCleared()],
                "stored" => Stored(data, group),
                "removed" => Removed([.. data.GetProperty("block_hashes").EnumerateArray().Select(Key)], group),
                "updated" => Updated(data, group),
                _ => [],
            };
        }
        catch (Exception error) when (error is KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private ImmutableArray<KvEvent> Stored(JsonElement data, int group)
    {
        BlockKey? parent = data.TryGetProperty("parent_hash", out var hash) && hash.ValueKind != JsonValueKind.Null ? Key(hash) : null;
        var events = ImmutableArray.CreateBuilder<KvEvent>();
        foreach (var block in data.GetProperty("blocks").EnumerateArray())
        {
            var tokens = block.GetProperty("tokens").EnumerateArray().Select(token => token.GetProperty("token_id").GetInt32()).ToImmutableArray();
            if (tokens.Length > LongestBlock) throw new FormatException($"A block of {tokens.Length} tokens.");
            // Nothing tells how many tokens a full block has; a text's last block is shorter, none is longer.
            _blockTokens = Math.Max(_blockTokens, tokens.Length);
            var key = Key(block.GetProperty("block_hash"));
            events.Add(new BlocksStored
            {
                Blocks = [key], Parent = parent, Tokens = tokens, BlockSize = Math.Max(1, _blockTokens), Tier = Tier(block, "cache_level"), Group = group,
                Adapter = Text(block, "lora_name"), ExtraKeys = Extra(block, parent is null) is { } extra ? [extra] : [],
            });
            parent = key;
        }
        return events.ToImmutable();
    }

    /// <summary>A removal names no tier: the block is gone from all.</summary>
    private static ImmutableArray<KvEvent> Removed(ImmutableArray<BlockKey> keys, int group) =>
        [.. Enum.GetValues<KvTier>().Select(tier => new BlocksRemoved { Blocks = keys, Tier = tier, Group = group })];

    private static ImmutableArray<KvEvent> Updated(JsonElement data, int group)
    {
        if (!data.TryGetProperty("cache_level", out var change) || change.ValueKind != JsonValueKind.Object) return [];
        ImmutableArray<BlockKey> keys = [Key(data.GetProperty("block_hash"))];
        return
        [
            new BlocksStored { Blocks = keys, BlockSize = 0, Tier = Tier(change, "new_value"), Group = group },
            new BlocksRemoved { Blocks = keys, Tier = Tier(change, "old_value"), Group = group },
        ];
    }

    /// <summary>What besides tokens is in a block's name: the salt of a text's first block, images, ids beside tokens.</summary>
    private static string? Extra(JsonElement block, bool isFirst)
    {
        var parts = new StringBuilder();
        if (isFirst) parts.Append(Text(block, "cache_salt"));
        if (block.TryGetProperty("mm_keys", out var images) && images.ValueKind == JsonValueKind.Array && images.GetArrayLength() > 0) parts.Append('\0').Append(images.GetRawText());
        var ids = block.GetProperty("tokens").EnumerateArray().Select(token => token.TryGetProperty("token_extra_id", out var id) && id.ValueKind == JsonValueKind.Number ? id.GetUInt64() : 0);
        if (ids.Any(id => id != 0)) parts.Append('\0').AppendJoin(',', ids);
        return parts.Length == 0 ? null : parts.ToString();
    }

    private static string? Text(JsonElement block, string name) => block.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static KvTier Tier(JsonElement holder, string name) => holder.TryGetProperty(name, out var level) && level.ValueKind == JsonValueKind.Number ? level.GetInt32() switch
    {
        0 => KvTier.Device,
        1 => KvTier.Host,
        _ => KvTier.Disk,
    } : KvTier.Device;

    /// <summary>Keys are numbers, or hexadecimal where they are SHA-256.</summary>
    private static BlockKey Key(JsonElement hash)
    {
        if (hash.ValueKind == JsonValueKind.Number)
            return BlockKey.FromInteger(hash.TryGetUInt64(out var number) ? number : unchecked((ulong)hash.GetInt64()));
        var text = hash.GetString() ?? throw new FormatException("A block without a name.");
        return text.Length is > 0 and <= 128 && text.Length % 2 == 0 && text.All(char.IsAsciiHexDigit) ? BlockKey.FromBytes(Convert.FromHexString(text))
            : BlockKey.FromBytes(Encoding.UTF8.GetBytes(text.Length <= 128 ? text : throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"A block's name of {text.Length} characters."))));
    }
}

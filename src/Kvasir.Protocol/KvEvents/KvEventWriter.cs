using System.Buffers;
using System.Collections.Immutable;
using MessagePack;

namespace Kvasir.Protocol.KvEvents;

/// <summary>
/// Writes KV event batches in vLLM's current form: the batch a positional array, each event a map with a "type" key and
/// defaults omitted, so that a gateway that understands vLLM understands Kvasir.
/// </summary>
public static class KvEventWriter
{
    /// <summary>Appends one batch to <paramref name="output"/>.</summary>
    public static void Write(IBufferWriter<byte> output, KvEventBatch batch)
    {
        var writer = new MessagePackWriter(output);
        writer.WriteArrayHeader(3);
        writer.Write(batch.TimestampSeconds);
        writer.WriteArrayHeader(batch.Events.Length);
        foreach (var item in batch.Events) WriteEvent(ref writer, item);
        if (batch.DataParallelRank is { } rank) writer.Write(rank); else writer.WriteNil();
        writer.Flush();
    }

    private static void WriteEvent(ref MessagePackWriter writer, KvEvent item)
    {
        switch (item)
        {
            case BlocksStored stored: WriteStored(ref writer, stored); break;
            case BlocksRemoved removed: WriteRemoved(ref writer, removed); break;
            default:
                writer.WriteMapHeader(1);
                WriteType(ref writer, "AllBlocksCleared");
                break;
        }
    }

    private static void WriteStored(ref MessagePackWriter writer, BlocksStored stored)
    {
        var optional = (stored.Adapter is null ? 0 : 1) + (stored.ExtraKeys.IsDefaultOrEmpty ? 0 : 1) + (stored.Group == 0 ? 0 : 1);
        writer.WriteMapHeader(6 + optional);
        WriteType(ref writer, "BlockStored");
        WriteKeys(ref writer, stored.Blocks);
        writer.Write("parent_block_hash");
        if (stored.Parent is { } parent) WriteKey(ref writer, parent); else writer.WriteNil();
        writer.Write("token_ids");
        writer.WriteArrayHeader(stored.Tokens.Length);
        foreach (var token in stored.Tokens) writer.Write(token);
        writer.Write("block_size");
        writer.Write(stored.BlockSize);
        WriteMedium(ref writer, stored.Tier);
        if (stored.Adapter is not null)
        {
            writer.Write("lora_name");
            writer.Write(stored.Adapter);
        }
        if (!stored.ExtraKeys.IsDefaultOrEmpty) WriteExtraKeys(ref writer, stored.ExtraKeys);
        WriteGroup(ref writer, stored.Group);
    }

    /// <summary>Per block a list of what went into its name, or nil.</summary>
    private static void WriteExtraKeys(ref MessagePackWriter writer, ImmutableArray<string?> keys)
    {
        writer.Write("extra_keys");
        writer.WriteArrayHeader(keys.Length);
        foreach (var key in keys)
        {
            if (key is null)
            {
                writer.WriteNil();
                continue;
            }
            writer.WriteArrayHeader(1);
            writer.Write(key);
        }
    }

    private static void WriteRemoved(ref MessagePackWriter writer, BlocksRemoved removed)
    {
        writer.WriteMapHeader(3 + (removed.Group == 0 ? 0 : 1));
        WriteType(ref writer, "BlockRemoved");
        WriteKeys(ref writer, removed.Blocks);
        WriteMedium(ref writer, removed.Tier);
        WriteGroup(ref writer, removed.Group);
    }

    private static void WriteType(ref MessagePackWriter writer, string type)
    {
        writer.Write("type");
        writer.Write(type);
    }

    private static void WriteKeys(ref MessagePackWriter writer, ImmutableArray<BlockKey> keys)
    {
        writer.Write("block_hashes");
        writer.WriteArrayHeader(keys.Length);
        foreach (var key in keys) WriteKey(ref writer, key);
    }

    /// <summary>vLLM's default is the hash's last eight bytes as an unsigned integer; a collision there costs a hit, never a wrong text.</summary>
    private static void WriteKey(ref MessagePackWriter writer, BlockKey key) => writer.Write(key.Low);

    private static void WriteMedium(ref MessagePackWriter writer, KvTier tier)
    {
        writer.Write("medium");
        writer.Write(tier switch { KvTier.Device => "GPU", KvTier.Host => "CPU", KvTier.Disk => "STORAGE", _ => "REMOTE" });
    }

    private static void WriteGroup(ref MessagePackWriter writer, int group)
    {
        if (group == 0) return;
        writer.Write("group_idx");
        writer.Write(group);
    }
}

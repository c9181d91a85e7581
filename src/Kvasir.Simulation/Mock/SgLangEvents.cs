using System.Buffers;
using Kvasir.Protocol.KvEvents;
using MessagePack;

namespace Kvasir.Simulation.Mock;

/// <summary>Writes cache events as SGLang does: arrays, one event per page, signed 64-bit names.</summary>
/// <remarks>Positions follow SGLang's <c>disaggregation/kv_events.py</c> of August 2026.</remarks>
internal static class SgLangEvents
{
    public static void Write(IBufferWriter<byte> output, KvEventBatch batch)
    {
        var writer = new MessagePackWriter(output);
        writer.WriteArrayHeader(3);
        writer.Write(batch.TimestampSeconds);
        writer.WriteArrayHeader(batch.Events.Sum(change => change is BlocksStored stored ? stored.Blocks.Length : 1));
        foreach (var change in batch.Events)
        {
            if (change is BlocksStored stored) WriteStored(ref writer, stored);
            else if (change is BlocksRemoved removed) WriteRemoved(ref writer, removed);
            else
            {
                writer.WriteArrayHeader(1);
                writer.Write("AllBlocksCleared");
            }
        }
        writer.Write(batch.DataParallelRank ?? 0);
        writer.Flush();
    }

    private static void WriteStored(ref MessagePackWriter writer, BlocksStored stored)
    {
        var size = stored.Tokens.Length / stored.Blocks.Length;
        for (var i = 0; i < stored.Blocks.Length; i++)
        {
            writer.WriteArrayHeader(7);
            writer.Write("BlockStored");
            writer.WriteArrayHeader(1);
            writer.Write((long)stored.Blocks[i].Low);
            if ((i == 0 ? stored.Parent : stored.Blocks[i - 1]) is { } parent) writer.Write((long)parent.Low);
            else writer.WriteNil();
            var tokens = stored.Tokens.AsSpan().Slice(i * size, size);
            writer.WriteArrayHeader(tokens.Length);
            foreach (var token in tokens) writer.Write(token);
            writer.Write(stored.BlockSize);
            writer.WriteNil();
            writer.Write("GPU");
        }
    }

    private static void WriteRemoved(ref MessagePackWriter writer, BlocksRemoved removed)
    {
        writer.WriteArrayHeader(3);
        writer.Write("BlockRemoved");
        writer.WriteArrayHeader(removed.Blocks.Length);
        foreach (var key in removed.Blocks) writer.Write((long)key.Low);
        writer.Write("GPU");
    }
}

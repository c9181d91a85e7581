using System.Buffers;
using CsCheck;
using Kvasir.Protocol.KvEvents;
using MessagePack;

namespace Kvasir.Protocol.Tests.KvEvents;

/// <summary>The shapes that engines have put on the wire over time, each as its own bytes.</summary>
public sealed class KvEventTests
{
    private delegate void Writing(ref MessagePackWriter writer);

    private static byte[] Pack(Writing write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(buffer);
        write(ref writer);
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private static KvEventBatch Read(byte[] payload)
    {
        Assert.True(KvEventReader.TryRead(payload, out var batch, out var error), error);
        return batch;
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        var batch = new KvEventBatch(12.5,
        [
            new BlocksStored
            {
                Blocks = [new(0, 7), new(0, ulong.MaxValue)], Parent = new BlockKey(0, 3), Tokens = [.. Enumerable.Range(0, 32)],
                BlockSize = 16, Tier = KvTier.Host, Adapter = "sql", Group = 2,
            },
            new BlocksRemoved { Blocks = [new(0, 9)], Tier = KvTier.Disk },
            new AllBlocksCleared(),
        ], 3);
        var buffer = new ArrayBufferWriter<byte>();
        KvEventWriter.Write(buffer, batch);

        var back = Read(buffer.WrittenSpan.ToArray());

        Assert.Equal(batch.TimestampSeconds, back.TimestampSeconds);
        Assert.Equal(3, back.DataParallelRank);
        var (expected, stored) = ((BlocksStored)batch.Events[0], Assert.IsType<BlocksStored>(back.Events[0]));
        Assert.Equal(expected.Blocks, stored.Blocks);
        Assert.Equal(expected.Tokens, stored.Tokens);
        Assert.Equal((expected.Parent, expected.BlockSize, expected.Tier, expected.Adapter, expected.Group),
            (stored.Parent, stored.BlockSize, stored.Tier, stored.Adapter, stored.Group));
        var removed = Assert.IsType<BlocksRemoved>(back.Events[1]);
        Assert.Equal((KvTier.Disk, new BlockKey(0, 9)), (removed.Tier, removed.Blocks.Single()));
        Assert.IsType<AllBlocksCleared>(back.Events[2]);
    }

    [Fact]
    public void Positional_events_without_their_tails_are_read()
    {
        var batch = Read(Pack((ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(2);
            w.Write(1.0);
            w.WriteArrayHeader(1);
            w.WriteArrayHeader(5);
            w.Write("BlockStored");
            w.WriteArrayHeader(1); w.Write(11UL);
            w.WriteNil();
            w.WriteArrayHeader(2); w.Write(5); w.Write(6);
            w.Write(16);
        }));
        var stored = Assert.IsType<BlocksStored>(batch.Events.Single());
        Assert.Null(batch.DataParallelRank);
        Assert.Null(stored.Parent);
        Assert.Equal([5, 6], stored.Tokens);
        Assert.Equal(KvTier.Device, stored.Tier);
    }

    [Fact]
    public void Maps_in_any_order_with_unknown_keys_are_read_on_both_levels()
    {
        var batch = Read(Pack((ref MessagePackWriter w) =>
        {
            w.WriteMapHeader(3);
            w.Write("events");
            w.WriteArrayHeader(1);
            w.WriteMapHeader(5);
            w.Write("block_size"); w.Write(32);
            w.Write("novelty"); w.WriteArrayHeader(2); w.Write(1); w.WriteNil();
            w.Write("block_hashes"); w.WriteArrayHeader(1); w.Write(new byte[32]);
            w.Write("type"); w.Write("BlockStored");
            w.Write("token_ids"); w.WriteArrayHeader(1); w.WriteArrayHeader(2); w.Write(8); w.Write(9);
            w.Write("data_parallel_rank"); w.Write(1);
            w.Write("ts"); w.Write(4);
        }));
        var stored = Assert.IsType<BlocksStored>(batch.Events.Single());
        Assert.Equal(32, stored.BlockSize);
        Assert.Equal([8], stored.Tokens);
        Assert.Equal((4.0, 1), (batch.TimestampSeconds, batch.DataParallelRank!.Value));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Arrays_and_maps_are_read_at_both_levels(bool batchIsMap, bool eventIsMap)
    {
        var batch = Read(Pack((ref MessagePackWriter w) =>
        {
            if (batchIsMap) w.WriteMapHeader(2);
            else w.WriteArrayHeader(2);
            if (batchIsMap) w.Write("ts");
            w.Write(2.0);
            if (batchIsMap) w.Write("events");
            w.WriteArrayHeader(1);
            if (eventIsMap) w.WriteMapHeader(2);
            else w.WriteArrayHeader(2);
            if (eventIsMap) w.Write("type");
            w.Write("BlockRemoved");
            if (eventIsMap) w.Write("block_hashes");
            w.WriteArrayHeader(1);
            w.Write(9UL);
        }));
        Assert.Equal((2.0, BlockKey.FromInteger(9)), (batch.TimestampSeconds, Assert.IsType<BlocksRemoved>(batch.Events.Single()).Blocks.Single()));
    }

    [Fact]
    public void An_unknown_event_costs_itself_alone()
    {
        var batch = Read(Pack((ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(3);
            w.Write(1.0);
            w.WriteArrayHeader(3);
            w.WriteMapHeader(1); w.Write("type"); w.Write("BlockTeleported");
            w.WriteArrayHeader(2); w.Write("SomethingElse"); w.Write(1);
            w.WriteArrayHeader(1); w.Write("AllBlocksCleared");
            w.WriteNil();
        }));
        Assert.IsType<AllBlocksCleared>(batch.Events.Single());
    }

    [Fact]
    public void Signed_unsigned_and_byte_keys_name_blocks()
    {
        var keys = ((BlocksRemoved)Read(Pack((ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(2);
            w.Write(1.0);
            w.WriteArrayHeader(1);
            w.WriteArrayHeader(3);
            w.Write("BlockRemoved");
            w.WriteArrayHeader(5);
            w.Write(-2L);
            w.Write(ulong.MaxValue - 1);
            w.Write(new byte[] { 0, 0, 0, 0, 0, 0, 0, 1 });
            w.Write(new byte[16]);
            w.Write(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray());
            w.Write("STORAGE");
        })).Events.Single()).Blocks;
        Assert.Equal(keys[0], keys[1]);
        Assert.Equal(BlockKey.FromInteger(1), keys[2]);
        Assert.Equal(4, keys.Distinct().Count());
    }

    [Fact]
    public void SGLangs_salt_stands_where_vLLM_names_an_adapter_and_belongs_to_the_first_page()
    {
        var events = Read(Pack((ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(3);
            w.Write(1.0);
            w.WriteArrayHeader(2);
            for (var page = 0; page < 2; page++)
            {
                w.WriteArrayHeader(8);
                w.Write("BlockStored");
                w.WriteArrayHeader(1); w.Write(-5L - page);
                if (page == 0) w.WriteNil(); else w.Write(-5L);
                w.WriteArrayHeader(2); w.Write(7); w.Write(8);
                w.Write(2);
                w.WriteNil();
                w.Write("CPU_PINNED");
                w.WriteMapHeader(2);
                w.Write("other"); w.Write(1);
                w.Write("cache_salt"); w.Write("tenant");
            }
            w.Write(0);
        })).Events.Cast<BlocksStored>().ToArray();
        Assert.Equal(["tenant"], events[0].ExtraKeys);
        Assert.Empty(events[1].ExtraKeys);
        Assert.All(events, stored => Assert.Equal((KvTier.Host, null), (stored.Tier, stored.Adapter)));
    }

    [Fact]
    public void Extra_keys_are_what_is_besides_the_adapter()
    {
        var stored = (BlocksStored)Read(Pack((ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(2);
            w.Write(1.0);
            w.WriteArrayHeader(1);
            w.WriteArrayHeader(12);
            w.Write("BlockStored");
            w.WriteArrayHeader(3); w.Write(1UL); w.Write(2UL); w.Write(3UL);
            w.WriteNil();
            w.WriteArrayHeader(6); for (var i = 0; i < 6; i++) w.Write(i);
            w.Write(2);
            w.Write(4);
            w.Write("GPU");
            w.Write("sql");
            w.WriteArrayHeader(3);
            w.WriteArrayHeader(2); w.Write("sql"); w.Write("salt");
            w.WriteArrayHeader(1); w.Write("sql");
            w.WriteArrayHeader(2); w.Write("sql"); w.WriteArrayHeader(2); w.Write("image"); w.Write(3);
            w.Write(1);
            w.Write("sliding_window");
            w.Write(512);
        })).Events.Single();
        Assert.Equal(("sql", 1, true), (stored.Adapter, stored.Group, stored.IsPartial));
        Assert.Equal("salt", stored.ExtraKeys[0]);
        Assert.Null(stored.ExtraKeys[1]);
        Assert.NotNull(stored.ExtraKeys[2]);
    }

    [Fact]
    public void A_move_between_tiers_may_come_without_tokens_and_block_size()
    {
        var moved = Assert.IsType<BlocksStored>(Read(Pack((ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(2);
            w.Write(1.0);
            w.WriteArrayHeader(1);
            w.WriteMapHeader(4);
            w.Write("type"); w.Write("BlockStored");
            w.Write("block_hashes"); w.WriteArrayHeader(1); w.Write(1UL);
            w.Write("token_ids"); w.WriteArrayHeader(0);
            w.Write("medium"); w.Write("CPU");
        })).Events.Single());
        Assert.Equal((KvTier.Host, 0, true), (moved.Tier, moved.BlockSize, moved.Tokens.IsEmpty));
    }

    [Fact]
    public void More_blocks_than_an_event_may_carry_are_refused()
    {
        var payload = Pack((ref MessagePackWriter w) =>
        {
            w.WriteArrayHeader(2);
            w.Write(1.0);
            w.WriteArrayHeader(1);
            w.WriteArrayHeader(2);
            w.Write("BlockRemoved");
            w.WriteArrayHeader(KvEventReader.MaximumItemsPerEvent + 1);
            for (var i = 0; i <= KvEventReader.MaximumItemsPerEvent; i++) w.Write(1);
        });
        Assert.False(KvEventReader.TryRead(payload, out _, out var error));
        Assert.Contains($"{KvEventReader.MaximumItemsPerEvent}", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_bytes_give_a_batch_or_a_reason() =>
        Gen.Byte.Array[0, 200].Sample(bytes =>
        {
            var read = KvEventReader.TryRead(bytes, out _, out var error);
            Assert.Equal(read, error is null);
        }, iter: 20_000);

    [Fact]
    public void Deep_nesting_is_refused_before_the_stack_ends()
    {
        var payload = new byte[1 << 20];
        Array.Fill(payload, (byte)0x91);
        Assert.False(KvEventReader.TryRead(payload, out _, out var error));
        Assert.NotNull(error);
    }

    [Fact]
    public void A_list_longer_than_its_payload_is_refused_before_it_is_allocated()
    {
        byte[] payload = [0x93, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0xdd, 0x7f, 0xff, 0xff, 0xff];
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.False(KvEventReader.TryRead(payload, out _, out var error));
        Assert.NotNull(error);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }
}

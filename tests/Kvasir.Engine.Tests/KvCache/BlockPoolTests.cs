using CsCheck;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine.Tests.KvCache;

public sealed class BlockPoolTests
{
    [Fact]
    public void A_table_grows_by_whole_blocks_or_not_at_all()
    {
        var pool = new BlockPool(4);
        var table = new BlockTable(pool, KvGroups.One());
        Assert.True(table.TryGrow(17, computed: 0));
        Assert.Equal((2, 2), (table.Held, pool.Free));
        Assert.False(table.TryGrow(16 * 5, computed: 0));
        Assert.Equal((2, 2), (table.Held, pool.Free));
        Assert.Equal(table.Blocks(0)[1] * 16 + 3, table.Slot(0, 19));
        table.Clear();
        Assert.Equal(4, pool.Free);
    }

    [Fact]
    public void A_shared_block_is_free_when_its_last_holder_returns_it()
    {
        var pool = new BlockPool(1);
        Assert.True(pool.TryTake(out var block));
        pool.Share(block);
        pool.Return(block);
        Assert.Equal(0, pool.Free);
        pool.Return(block);
        Assert.Equal(1, pool.Free);
        Assert.Throws<InvalidOperationException>(() => pool.Return(block));
        Assert.Throws<InvalidOperationException>(() => pool.Share(block));
    }

    [Fact]
    public void Any_order_of_taking_sharing_and_returning_keeps_the_books() =>
        Gen.Select(Gen.Int[0, 2], Gen.Int[0, 1000]).Array[0, 300].Sample(steps =>
        {
            var pool = new BlockPool(12);
            var held = new List<int>();
            foreach (var (action, pick) in steps)
            {
                if (action == 0 && pool.TryTake(out var block)) held.Add(block);
                else if (action == 1 && held.Count > 0)
                {
                    pool.Share(held[pick % held.Count]);
                    held.Add(held[pick % held.Count]);
                }
                else if (action == 2 && held.Count > 0)
                {
                    pool.Return(held[pick % held.Count]);
                    held.RemoveAt(pick % held.Count);
                }
                pool.CheckIntegrity();
                Assert.Equal(12 - held.Distinct().Count(), pool.Free);
            }
        }, iter: 300);
}

using Kvasir.Engine.KvCache;
using Kvasir.Simulation.Traces;

namespace Kvasir.Cli.Benchmarks;

/// <summary>
/// Replays a trace through the engine's own block pool, one request after the other: which share of the prompt's blocks
/// is still there when it is asked for.
/// </summary>
internal static class EvictionReplay
{
    /// <summary>The share of prompt blocks found, with a pool of so many blocks.</summary>
    public static double HitRate(Trace trace, EvictionKind policy, int blocks) =>
        new Replay(new BlockPool(blocks, EvictionPolicies.Create(policy, blocks))).Run(trace);

    /// <summary>The share of prompt blocks that came before: what a pool without end finds.</summary>
    public static double MostHitRate(Trace trace)
    {
        var seen = new HashSet<ulong>();
        var (hits, asked) = (0L, 0L);
        foreach (var request in trace.Requests)
        {
            asked += request.Blocks.Length;
            hits += request.Blocks.TakeWhile(seen.Contains).Count();
            seen.UnionWith(request.Blocks);
        }
        return (double)hits / Math.Max(1, asked);
    }

    /// <summary>Different prompt blocks of a trace.</summary>
    public static int DistinctBlocks(Trace trace) => trace.Requests.SelectMany(request => request.Blocks).Distinct().Count();

    private sealed class Replay
    {
        private readonly BlockPool _pool;
        private readonly Dictionary<ulong, int> _blockOf = [];
        private readonly ulong[] _nameOf;

        public Replay(BlockPool pool)
        {
            (_pool, _nameOf) = (pool, new ulong[pool.Capacity]);
            pool.Evicting = block =>
            {
                if (_blockOf.TryGetValue(_nameOf[block], out var known) && known == block) _blockOf.Remove(_nameOf[block]);
            };
        }

        public double Run(Trace trace)
        {
            var (hits, asked) = (0L, 0L);
            var held = new List<int>();
            foreach (var request in trace.Requests)
            {
                asked += request.Blocks.Length;
                foreach (var name in request.Blocks)
                {
                    if (!_blockOf.TryGetValue(name, out var block)) break;
                    _pool.Share(block);
                    held.Add(block);
                }
                hits += held.Count;
                foreach (var name in request.Blocks.AsSpan()[held.Count..])
                {
                    // A prompt longer than the pool keeps its start.
                    if (!_pool.TryTake(out var block)) break;
                    held.Add(block);
                    _pool.Keep(block);
                    // One that is there but follows a gap is computed again; the newer one is found from now on.
                    (_blockOf[name], _nameOf[block]) = (block, name);
                }
                for (var i = held.Count - 1; i >= 0; i--) _pool.Return(held[i], _nameOf[held[i]]);
                held.Clear();
            }
            return (double)hits / Math.Max(1, asked);
        }
    }
}

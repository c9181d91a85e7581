using System.Collections.Immutable;
using Kvasir.Protocol;
using Kvasir.Protocol.KvEvents;

namespace Kvasir.Simulation.Mock;

/// <summary>A prefix cache without keys and values: names of blocks, the least recently used of which give way, and the events an engine would publish.</summary>
/// <param name="blockSize">Tokens per block.</param>
/// <param name="capacityBlocks">Blocks that it holds.</param>
/// <param name="toldBlockSize">Tokens per block that events tell of.</param>
public sealed class MockCache(int blockSize, int capacityBlocks, int? toldBlockSize = null)
{
    private readonly int _told = toldBlockSize ?? blockSize;
    private readonly Lock _lock = new();
    private readonly Dictionary<UInt128, LinkedListNode<UInt128>> _blocks = [];
    private readonly LinkedList<UInt128> _order = new();

    /// <summary>Blocks held.</summary>
    public int Count { get { lock (_lock) return _blocks.Count; } }

    /// <summary>Tokens of the prompt that are held now.</summary>
    public int Match(ReadOnlySpan<int> tokens)
    {
        lock (_lock)
        {
            var parent = BlockHash.Root("engine"u8);
            var matched = 0;
            while ((matched + 1) * blockSize <= tokens.Length && _blocks.ContainsKey(parent = BlockHash.Next(parent, tokens.Slice(matched * blockSize, blockSize)))) matched++;
            // The last token is always computed.
            return Math.Min(matched * blockSize, Math.Max(0, (tokens.Length - 1) / blockSize * blockSize));
        }
    }

    /// <summary>The prompt was computed; the events that tell of it.</summary>
    public ImmutableArray<KvEvent> Add(int[] tokens)
    {
        lock (_lock)
        {
            var chain = new UInt128[tokens.Length / blockSize];
            BlockHash.Chain(BlockHash.Root("engine"u8), tokens, blockSize, chain);
            var first = Array.FindIndex(chain, name => !_blocks.ContainsKey(name));
            for (var i = chain.Length - 1; i >= 0; i--)
            {
                if (_blocks.TryGetValue(chain[i], out var node)) _order.Remove(node);
                _blocks[chain[i]] = _order.AddLast(chain[i]);
            }
            var events = ImmutableArray.CreateBuilder<KvEvent>();
            if (first >= 0)
                events.Add(new BlocksStored
                {
                    Blocks = [.. chain.Skip(first).Select(Key)], Parent = first == 0 ? null : Key(chain[first - 1]),
                    Tokens = [.. tokens.Skip(first * blockSize).Take((chain.Length - first) * blockSize)], BlockSize = _told,
                });
            var gone = ImmutableArray.CreateBuilder<BlockKey>();
            while (_blocks.Count > capacityBlocks)
            {
                gone.Add(Key(_order.First!.Value));
                _blocks.Remove(_order.First.Value);
                _order.RemoveFirst();
            }
            if (gone.Count > 0) events.Add(new BlocksRemoved { Blocks = gone.ToImmutable() });
            return events.ToImmutable();
        }
    }

    /// <summary>Forgets everything; the event that tells of it.</summary>
    public ImmutableArray<KvEvent> Clear()
    {
        lock (_lock)
        {
            _blocks.Clear();
            _order.Clear();
            return [new AllBlocksCleared()];
        }
    }

    private static BlockKey Key(UInt128 name) => new((ulong)(name >> 64), (ulong)name);
}

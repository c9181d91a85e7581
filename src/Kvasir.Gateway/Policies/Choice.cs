using System.Numerics;

namespace Kvasir.Gateway.Policies;

/// <summary>What several policies need: a fair draw among equals, and rendezvous weights.</summary>
internal static class Choice
{
    /// <summary>Walks costs and keeps the lowest; equals are drawn fairly (reservoir).</summary>
    public struct Lowest(ulong draw)
    {
        private ulong _state = draw;
        private double _cost = double.PositiveInfinity;
        private int _equals;

        public int Index { get; private set; } = -1;

        public void Offer(int index, double cost)
        {
            if (cost > _cost) return;
            if (cost < _cost || Index < 0)
            {
                (_cost, Index, _equals) = (cost, index, 1);
                return;
            }
            _equals++;
            _state = Mix(_state);
            if (_state % (ulong)_equals == 0) Index = index;
        }
    }

    /// <summary>A number that depends on every bit of <paramref name="value"/> (SplitMix64's finalizer).</summary>
    public static ulong Mix(ulong value)
    {
        value += 0x9E37_79B9_7F4A_7C15UL;
        value = (value ^ value >> 30) * 0xBF58_476D_1CE4_E5B9UL;
        value = (value ^ value >> 27) * 0x94D0_49BB_1331_11EBUL;
        return value ^ value >> 31;
    }

    /// <summary>How much a worker wants a key: the highest weight wins, and a worker that leaves moves only its own keys.</summary>
    public static ulong Weight(ulong key, int worker) => Mix(key ^ BitOperations.RotateLeft(Mix((ulong)worker + 1), 17));
}

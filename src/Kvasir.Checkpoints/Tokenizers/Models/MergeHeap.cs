namespace Kvasir.Checkpoints.Tokenizers.Models;

/// <summary>A binary heap of 64-bit keys, least first. Keys carry a rank above and a position below.</summary>
internal sealed class MergeHeap
{
    private ulong[] _keys = new ulong[64];

    /// <summary>Keys held.</summary>
    public int Count { get; private set; }

    /// <summary>Forgets all keys; gives memory back when a long word had made it large.</summary>
    public void Clear(int keepAtMost)
    {
        Count = 0;
        if (_keys.Length > keepAtMost)
            _keys = new ulong[64];
    }

    public void Push(ulong key)
    {
        if (Count == _keys.Length)
            Array.Resize(ref _keys, Count * 2);
        int at = Count++;
        while (at > 0)
        {
            int parent = (at - 1) >> 1;
            if (_keys[parent] <= key)
                break;
            _keys[at] = _keys[parent];
            at = parent;
        }
        _keys[at] = key;
    }

    public ulong Pop()
    {
        ulong least = _keys[0];
        ulong last = _keys[--Count];
        int at = 0;
        while (true)
        {
            int child = 2 * at + 1;
            if (child >= Count)
                break;
            if (child + 1 < Count && _keys[child + 1] < _keys[child])
                child++;
            if (last <= _keys[child])
                break;
            _keys[at] = _keys[child];
            at = child;
        }
        _keys[at] = last;
        return least;
    }
}

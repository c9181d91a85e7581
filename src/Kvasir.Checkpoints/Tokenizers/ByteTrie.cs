using System.Buffers;

namespace Kvasir.Checkpoints.Tokenizers;

/// <summary>A prefix tree over byte strings: all keys that begin at a place in a text, in one walk.</summary>
internal sealed class ByteTrie
{
    /// <summary>The node before the first byte.</summary>
    public const int Root = 0;

    private readonly Dictionary<long, int> _children = [];
    private readonly int[] _firstChild = new int[256];
    private readonly List<int> _values = [-1];
    private SearchValues<byte> _firstBytes = SearchValues.Create(ReadOnlySpan<byte>.Empty);

    /// <summary>Builds the tree; of equal keys the last value stays.</summary>
    public ByteTrie(IEnumerable<(byte[] Key, int Value)> entries)
    {
        foreach (var (key, value) in entries)
        {
            if (key.Length == 0)
                continue;
            int node = Root;
            foreach (byte b in key)
                node = ChildOrNew(node, b);
            _values[node] = value;
        }
        _firstBytes = SearchValues.Create([.. Enumerable.Range(0, 256).Where(b => _firstChild[b] != 0).Select(b => (byte)b)]);
    }

    /// <summary>Whether there is no key.</summary>
    public bool IsEmpty => _values.Count == 1;

    /// <summary>The first place from <paramref name="from"/> where a key may begin; -1 when there is none.</summary>
    public int NextStart(ReadOnlySpan<byte> text, int from)
    {
        int at = text[from..].IndexOfAny(_firstBytes);
        return at < 0 ? -1 : from + at;
    }

    /// <summary>The node reached by a byte; -1 when there is none.</summary>
    public int Child(int node, byte value)
    {
        if (node == Root)
            return _firstChild[value] == 0 ? -1 : _firstChild[value];
        return _children.TryGetValue((long)node << 8 | value, out int child) ? child : -1;
    }

    /// <summary>The value of the key that ends at a node; -1 when none does.</summary>
    public int Value(int node) => _values[node];

    /// <summary>Bytes of the longest key that begins at <paramref name="at"/>, and its value; 0 when none does.</summary>
    public int LongestMatch(ReadOnlySpan<byte> text, int at, out int value)
    {
        value = -1;
        int longest = 0;
        for (int i = at, node = Root; i < text.Length && (node = Child(node, text[i])) >= 0; i++)
        {
            if (_values[node] < 0)
                continue;
            value = _values[node];
            longest = i + 1 - at;
        }
        return longest;
    }

    /// <summary>Bytes from <paramref name="at"/> that some key begins with.</summary>
    public int LongestPath(ReadOnlySpan<byte> text, int at)
    {
        int i = at;
        for (int node = Root; i < text.Length && (node = Child(node, text[i])) >= 0;)
            i++;
        return i - at;
    }

    private int ChildOrNew(int node, byte value)
    {
        int child = Child(node, value);
        if (child >= 0)
            return child;
        child = _values.Count;
        _values.Add(-1);
        if (node == Root)
            _firstChild[value] = child;
        else
            _children.Add((long)node << 8 | value, child);
        return child;
    }
}

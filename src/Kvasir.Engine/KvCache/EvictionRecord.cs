namespace Kvasir.Engine.KvCache;

/// <summary>Why a block is no longer on the device.</summary>
public enum EvictionReason : byte
{
    /// <summary>Its room was needed.</summary>
    Room,
    /// <summary>Somebody deleted it.</summary>
    Deleted,
}

/// <summary>
/// The names of the full blocks that left the device last, when and why, so that a request can be told what became of its
/// beginning. As many as the pool has blocks; all operations are O(1). For one thread: the engine's.
/// </summary>
/// <param name="most">Names kept.</param>
/// <param name="time">The clock.</param>
internal sealed class EvictionRecord(int most, TimeProvider time)
{
    /// <summary>Bytes per name: a place in the ring and an entry of the dictionary.</summary>
    public const int BytesPerBlock = 16 + 8 + 1 + 62;

    private readonly UInt128[] _names = new UInt128[most];
    private readonly long[] _when = new long[most];
    private readonly EvictionReason[] _reason = new EvictionReason[most];
    private readonly Dictionary<UInt128, int> _places = new(most);
    private int _next;

    /// <summary>Names kept now.</summary>
    public int Count => _places.Count;

    /// <summary>A block left; the oldest name is forgotten when there are too many.</summary>
    public void Add(UInt128 name, EvictionReason reason)
    {
        if (!_places.TryGetValue(name, out var place))
        {
            place = _next;
            _next = (_next + 1) % most;
            if (_places.TryGetValue(_names[place], out var old) && old == place) _places.Remove(_names[place]);
            (_names[place], _places[name]) = (name, place);
        }
        (_when[place], _reason[place]) = (time.GetTimestamp(), reason);
    }

    /// <summary>When and why a block left.</summary>
    public bool TryFind(UInt128 name, out TimeSpan ago, out EvictionReason reason)
    {
        var found = _places.TryGetValue(name, out var place);
        (ago, reason) = found ? (time.GetElapsedTime(_when[place]), _reason[place]) : default;
        return found;
    }
}

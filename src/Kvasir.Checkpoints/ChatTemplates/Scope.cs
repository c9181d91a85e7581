namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>Names and their values; inner scopes see outer ones but do not change them.</summary>
internal sealed class Scope(Scope? parent)
{
    private readonly Dictionary<string, object?> _values = [];

    public bool TryGet(string name, out object? value)
    {
        for (var scope = this; scope is not null; scope = scope.Parent)
            if (scope._values.TryGetValue(name, out value)) return true;
        value = null;
        return false;
    }

    public Scope? Parent { get; } = parent;

    public void Set(string name, object? value) => _values[name] = value;
}

/// <summary>What <c>loop</c> is inside a for.</summary>
internal sealed class LoopValue(IReadOnlyList<object?> items, int depth, Callable? recurse)
{
    private List<object?>? _last;

    public int Index { get; set; }

    public Callable? Recurse => recurse;

    public object? Get(string name) => name switch
    {
        "index" => Integer(Index + 1),
        "index0" => Integer(Index),
        "revindex" => Integer(items.Count - Index),
        "revindex0" => Integer(items.Count - Index - 1),
        "first" => Index == 0,
        "last" => Index == items.Count - 1,
        "length" => Integer(items.Count),
        "depth" => Integer(depth),
        "depth0" => Integer(depth - 1),
        "previtem" => Index > 0 ? items[Index - 1] : new Undefined("there is no previous item"),
        "nextitem" => Index < items.Count - 1 ? items[Index + 1] : new Undefined("there is no next item"),
        "cycle" => (Callable)(arguments => arguments.Positional.Count > 0
            ? arguments.Positional[Index % arguments.Positional.Count] : throw new ChatTemplateException("loop.cycle needs items.")),
        "changed" => (Callable)Changed,
        _ => new Undefined(name),
    };

    private object? Changed(CallArguments arguments)
    {
        var now = arguments.Positional.ToList();
        var changed = _last is null || !Values.Equals(_last, now);
        _last = now;
        return changed;
    }

    private static object Integer(int value) => (System.Numerics.BigInteger)value;
}

using System.Text;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>Executes a template's statements. Bounded: output, loop turns and depth have limits, so no template hangs.</summary>
internal sealed class Renderer
{
    private const int MaximumOutput = 64 << 20;
    private const int MaximumTurns = 10_000_000;
    private const int MaximumDepth = 200;

    private readonly Evaluator _evaluator;
    private StringBuilder _output = new();
    private int _turns;
    private int _depth;
    private int _loopDepth;

    public Renderer(DateTimeOffset now) => _evaluator = new Evaluator(new Globals(now), Tick);

    private enum Flow { Next, Break, Continue }

    public string Render(IReadOnlyList<Node> nodes, DictValue context)
    {
        var globals = new Scope(null);
        foreach (var (key, value) in context)
            if (key is string name) globals.Set(name, value);
        Run(nodes, new Scope(globals));
        return _output.ToString();
    }

    private void Tick(int turns)
    {
        _turns += turns;
        if (_turns > MaximumTurns) throw new ChatTemplateException($"The template loops more than {MaximumTurns} times.");
    }

    private Flow Run(IReadOnlyList<Node> nodes, Scope scope)
    {
        if (++_depth > MaximumDepth) throw new ChatTemplateException($"The template calls itself deeper than {MaximumDepth}.");
        var flow = Flow.Next;
        foreach (var node in nodes)
        {
            try
            {
                flow = Execute(node, scope);
            }
            catch (ChatTemplateException error) when (error.Line == 0)
            {
                throw new ChatTemplateException(error.Message, node.Line, error);
            }
            if (flow != Flow.Next) break;
        }
        _depth--;
        return flow;
    }

    private Flow Execute(Node node, Scope scope)
    {
        switch (node)
        {
            case TextNode text: Emit(text.Text); break;
            case OutputNode output: Emit(Values.Text(_evaluator.Value(output.Value, scope))); break;
            case IfNode branches: return If(branches, scope);
            case ForNode loop: For(loop, _evaluator.Value(loop.Items, scope), scope, 1); break;
            case SetNode set: Assign(set.Target, _evaluator.Value(set.Value, scope), scope); break;
            case SetBlockNode set: Assign(set.Target, Captured(set.Body, set.Filters, scope), scope); break;
            case FilterBlockNode filter: Emit(Values.Text(Captured(filter.Body, filter.Filters, scope))); break;
            case MacroNode macro: scope.Set(macro.Name, Macro(macro, scope)); break;
            case CallNode call: Call(call, scope); break;
            case WithNode with: return With(with, scope);
            case ScopeNode inner: return Run(inner.Body, new Scope(scope));
            case DoNode statement: _evaluator.Value(statement.Value, scope); break;
            case LoopControlNode control when _loopDepth > 0: return control.Breaks ? Flow.Break : Flow.Continue;
            case LoopControlNode: throw new ChatTemplateException("break and continue belong into a loop.");
        }
        return Flow.Next;
    }

    private void Emit(string text)
    {
        if (_output.Length + text.Length > MaximumOutput) throw new ChatTemplateException($"The template writes more than {MaximumOutput} characters.");
        _output.Append(text);
    }

    private Flow If(IfNode node, Scope scope)
    {
        foreach (var (condition, body) in node.Branches)
            if (condition is null || Values.IsTrue(_evaluator.Value(condition, scope))) return Run(body, scope);
        return Flow.Next;
    }

    private void For(ForNode node, object? source, Scope scope, int depth)
    {
        if (depth > MaximumDepth) throw new ChatTemplateException($"A loop recurses deeper than {MaximumDepth}.");
        var items = new List<object?>();
        foreach (var item in Values.Iterate(source))
        {
            Tick(1);
            if (node.Filter is not null)
            {
                var test = new Scope(scope);
                Assign(node.Target, item, test);
                if (!Values.IsTrue(_evaluator.Value(node.Filter, test))) continue;
            }
            items.Add(item);
        }
        if (items.Count == 0)
        {
            Run(node.Else, new Scope(scope));
            return;
        }
        Callable? recurse = node.IsRecursive ? arguments => Capture(() => For(node, arguments.Require(0, "items", "loop"), scope, depth + 1)) : null;
        var loop = new LoopValue(items, depth, recurse);
        _loopDepth++;
        for (; loop.Index < items.Count; loop.Index++)
        {
            var inner = new Scope(scope);
            inner.Set("loop", loop);
            Assign(node.Target, items[loop.Index], inner);
            if (Run(node.Body, inner) == Flow.Break) break;
        }
        _loopDepth--;
    }

    private void Assign(Expression target, object? value, Scope scope)
    {
        switch (target)
        {
            case NameExpression name:
                scope.Set(name.Name, value);
                break;
            case AttributeExpression { Target: NameExpression owner } attribute:
                if (_evaluator.Value(owner, scope) is not NamespaceValue space)
                    throw new ChatTemplateException($"Only a namespace's attributes can be set, and '{owner.Name}' is none.");
                space.Attributes[attribute.Name] = value;
                break;
            case ListExpression list:
                var parts = Values.Iterate(value).ToList();
                if (parts.Count != list.Items.Count)
                    throw new ChatTemplateException($"{parts.Count} values cannot be unpacked into {list.Items.Count} names.");
                for (var i = 0; i < parts.Count; i++) Assign(list.Items[i], parts[i], scope);
                break;
            default:
                throw new ChatTemplateException("This cannot be assigned to.");
        }
    }

    private string Capture(Action run)
    {
        var (outer, loops) = (_output, _loopDepth);
        _output = new StringBuilder();
        try
        {
            run();
            return _output.ToString();
        }
        finally
        {
            (_output, _loopDepth) = (outer, loops);
        }
    }

    private object? Captured(IReadOnlyList<Node> body, IReadOnlyList<(string Name, Arguments Arguments)> filters, Scope scope)
    {
        object? value = Capture(() => Run(body, new Scope(scope)));
        foreach (var (name, arguments) in filters) value = _evaluator.Filter(name, value, arguments, scope);
        return value;
    }

    private Callable Macro(MacroNode macro, Scope defined) => arguments =>
    {
        var scope = new Scope(defined);
        var rest = arguments.Named.ToDictionary();
        rest.Remove("caller", out var caller);
        for (var i = 0; i < macro.Parameters.Count; i++)
        {
            var (name, otherwise) = macro.Parameters[i];
            var value = i < arguments.Positional.Count ? arguments.Positional[i]
                : rest.TryGetValue(name, out var named) ? named
                : otherwise is null ? new Undefined(name) : _evaluator.Value(otherwise, scope);
            rest.Remove(name);
            scope.Set(name, value);
        }
        var keywords = new DictValue();
        foreach (var (name, value) in rest) keywords[name] = value;
        scope.Set("varargs", new TupleValue(arguments.Positional.Skip(macro.Parameters.Count)));
        scope.Set("kwargs", keywords);
        if (caller is not null) scope.Set("caller", caller);
        return Capture(() =>
        {
            _loopDepth = 0;
            Run(macro.Body, scope);
        });
    };

    private void Call(CallNode node, Scope scope)
    {
        var caller = new Arguments(node.Call.Arguments.Positional,
            [.. node.Call.Arguments.Named, ("caller", new LiteralExpression(Macro(node.Caller, scope), node.Line))],
            node.Call.Arguments.Star, node.Call.Arguments.DoubleStar);
        Emit(Values.Text(_evaluator.Value(node.Call with { Arguments = caller }, scope)));
    }

    private Flow With(WithNode node, Scope scope)
    {
        var inner = new Scope(scope);
        foreach (var (target, value) in node.Bindings) Assign(target, _evaluator.Value(value, scope), inner);
        return Run(node.Body, inner);
    }
}

using System.Numerics;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>Evaluates expressions.</summary>
internal sealed class Evaluator
{
    private const int MaximumDepth = 300;

    private readonly Globals _globals;
    private readonly Filters _filters;
    private int _depth;

    public Evaluator(Globals globals, Action<int> tick)
    {
        _globals = globals;
        _filters = new Filters(this, tick);
    }

    public object? Value(Expression expression, Scope scope)
    {
        if (++_depth > MaximumDepth) throw new ChatTemplateException($"Expressions call each other deeper than {MaximumDepth}.", expression.Line);
        try
        {
            return Evaluate(expression, scope);
        }
        catch (ChatTemplateException error) when (error.Line == 0)
        {
            throw new ChatTemplateException(error.Message, expression.Line, error);
        }
        finally
        {
            _depth--;
        }
    }

    private object? Evaluate(Expression expression, Scope scope) => expression switch
    {
        LiteralExpression literal => literal.Value,
        NameExpression name => scope.TryGet(name.Name, out var value) ? value : _globals.Find(name.Name) ?? (object)new Undefined(name.Name),
        ListExpression { IsTuple: true } tuple => new TupleValue(tuple.Items.Select(item => Value(item, scope))),
        ListExpression list => list.Items.Select(item => Value(item, scope)).ToList(),
        DictExpression dict => Dict(dict, scope),
        UnaryExpression { Operator: "not" } unary => !Values.IsTrue(Value(unary.Operand, scope)),
        UnaryExpression unary => Arithmetic.Sign(unary.Operator, Value(unary.Operand, scope)),
        BinaryExpression { Operator: "and" } both => Value(both.Left, scope) is var left && Values.IsTrue(left) ? Value(both.Right, scope) : left,
        BinaryExpression { Operator: "or" } either => Value(either.Left, scope) is var left && Values.IsTrue(left) ? left : Value(either.Right, scope),
        BinaryExpression binary => Arithmetic.Apply(binary.Operator, Value(binary.Left, scope), Value(binary.Right, scope)),
        CompareExpression compare => Compare(compare, scope),
        ConditionalExpression choice => Values.IsTrue(Value(choice.Condition, scope)) ? Value(choice.Then, scope)
            : choice.Else is null ? new Undefined("the value of an 'if' without 'else'") : Value(choice.Else, scope),
        AttributeExpression attribute => Members.Attribute(Value(attribute.Target, scope), attribute.Name),
        ItemExpression item => Members.Item(Value(item.Target, scope), Value(item.Index, scope)),
        SliceExpression slice => Members.Slice(Value(slice.Target, scope), Optional(slice.Start, scope), Optional(slice.Stop, scope), Optional(slice.Step, scope)),
        CallExpression call => Call(Value(call.Target, scope), call, scope),
        FilterExpression filter => Filter(filter, scope),
        TestExpression test => Tests.Apply(test.Name, Value(test.Target, scope), Evaluate(test.Arguments, scope)) != test.IsNegated,
        _ => throw new ChatTemplateException("This expression has no meaning."),
    };

    public object? Filter(string name, object? value, Arguments arguments, Scope scope) => _filters.Apply(name, value, Evaluate(arguments, scope));

    private object? Filter(FilterExpression filter, Scope scope) => Filter(filter.Name, Value(filter.Target, scope), filter.Arguments, scope);

    private object? Optional(Expression? expression, Scope scope) => expression is null ? null : Value(expression, scope);

    private DictValue Dict(DictExpression expression, Scope scope)
    {
        var dict = new DictValue();
        foreach (var (key, value) in expression.Items) dict[Value(key, scope)] = Value(value, scope);
        return dict;
    }

    private object Compare(CompareExpression expression, Scope scope)
    {
        var left = Value(expression.First, scope);
        foreach (var (operatorText, operand) in expression.Rest)
        {
            var right = Value(operand, scope);
            if (!Holds(operatorText, left, right)) return false;
            left = right;
        }
        return true;
    }

    public static bool Holds(string operatorText, object? left, object? right) => operatorText switch
    {
        "==" => Values.Equals(left, right),
        "!=" => !Values.Equals(left, right),
        "<" => Values.Compare(left, right) < 0,
        "<=" => Values.Compare(left, right) <= 0,
        ">" => Values.Compare(left, right) > 0,
        ">=" => Values.Compare(left, right) >= 0,
        "in" => Members.Contains(right, left),
        _ => !Members.Contains(right, left),
    };

    private object? Call(object? target, CallExpression call, Scope scope)
    {
        var arguments = Evaluate(call.Arguments, scope);
        return target switch
        {
            Callable callable => callable(arguments),
            LoopValue { Recurse: { } recurse } => recurse(arguments),
            Undefined undefined => throw new ChatTemplateException($"'{undefined.Name}' is undefined and cannot be called."),
            _ => throw new ChatTemplateException($"{Values.TypeName(target)} cannot be called."),
        };
    }

    private CallArguments Evaluate(Arguments arguments, Scope scope)
    {
        if (ReferenceEquals(arguments, Arguments.None)) return CallArguments.None;
        var positional = arguments.Positional.Select(item => Value(item, scope)).ToList();
        var named = arguments.Named.ToDictionary(item => item.Name, item => Value(item.Value, scope));
        if (arguments.Star is not null) positional.AddRange(Values.Iterate(Value(arguments.Star, scope)));
        if (arguments.DoubleStar is not null && Value(arguments.DoubleStar, scope) is DictValue more)
            foreach (var (key, value) in more) named[Values.Text(Values.Key(key))] = value;
        return new CallArguments(positional, named);
    }
}

/// <summary>Python's arithmetic on numbers, text and lists.</summary>
internal static class Arithmetic
{
    private const int MaximumLength = 16 << 20;
    private const int MaximumBits = 1 << 16;

    public static object Sign(string sign, object? value) => value switch
    {
        double number => sign == "-" ? -number : number,
        _ when Values.Number(value) is { } number => sign == "-" ? -number : number,
        _ => throw new ChatTemplateException($"{Values.TypeName(value)} has no sign."),
    };

    public static object? Apply(string operatorText, object? a, object? b)
    {
        if (a is Markup || b is Markup)
        {
            // "~" joins texts as they are; only Markup's own "+" escapes the other side.
            if (operatorText == "+" && a is string or Markup && b is string or Markup)
                return new Markup(Joined(Markup.Escape(a), Markup.Escape(b)));
            (a, b) = (Markup.Plain(a), Markup.Plain(b));
        }
        if (operatorText == "~") return Joined(Values.Text(a), Values.Text(b));
        if (a is Undefined or null || b is Undefined or null)
            throw new ChatTemplateException($"'{operatorText}' cannot be applied: {Values.TypeName(a is Undefined or null ? a : b)} is no operand.");
        return (operatorText, a, b) switch
        {
            ("+", string s, string t) => Joined(s, t),
            ("+", TupleValue s, TupleValue t) => new TupleValue(s.Concat(t)),
            ("+", List<object?> s, List<object?> t) when s is not TupleValue && t is not TupleValue => s.Concat(t).ToList(),
            ("*", string s, _) when Values.Number(b) is { } n => Repeated(s, n),
            ("*", _, string s) when Values.Number(a) is { } n => Repeated(s, n),
            ("*", List<object?> s, _) when Values.Number(b) is { } n => Repeated(s, n),
            ("%", string s, _) => PercentFormat.Apply(s, b),
            _ when Values.IsNumber(a) && Values.IsNumber(b) => Numbers(operatorText, a, b),
            _ => throw new ChatTemplateException($"'{operatorText}' cannot be applied to these: {Values.TypeName(a)} and {Values.TypeName(b)}."),
        };
    }

    private static string Joined(string a, string b) =>
        a.Length + b.Length <= MaximumLength ? a + b : throw new ChatTemplateException($"A text grows beyond {MaximumLength} characters.");

    private static string Repeated(string text, BigInteger count)
    {
        if (count <= 0) return "";
        if (count * text.Length > MaximumLength) throw new ChatTemplateException($"A text grows beyond {MaximumLength} characters.");
        return string.Concat(Enumerable.Repeat(text, (int)count));
    }

    private static List<object?> Repeated(List<object?> list, BigInteger count)
    {
        if (count * list.Count > MaximumLength) throw new ChatTemplateException($"A list grows beyond {MaximumLength} items.");
        var items = Enumerable.Repeat(list, (int)BigInteger.Max(0, count)).SelectMany(item => item);
        return list is TupleValue ? new TupleValue(items) : items.ToList();
    }

    private static object Numbers(string operatorText, object a, object b)
    {
        if (a is double || b is double || operatorText == "/") return Floats(operatorText, Values.ToDouble(a), Values.ToDouble(b));
        var (x, y) = (Values.Number(a)!.Value, Values.Number(b)!.Value);
        switch (operatorText)
        {
            case "+": return x + y;
            case "-": return x - y;
            case "*": return Bounded(x.GetBitLength() + y.GetBitLength(), () => x * y);
            case "**":
                if (y < 0) return Math.Pow((double)x, (double)y);
                return y > MaximumBits ? throw TooLarge() : Bounded(x.GetBitLength() * (long)y, () => BigInteger.Pow(x, (int)y));
        }
        if (y.IsZero) throw new ChatTemplateException("Division by zero.");
        var quotient = BigInteger.DivRem(x, y, out var remainder);
        if (!remainder.IsZero && remainder.Sign != y.Sign) (quotient, remainder) = (quotient - 1, remainder + y);
        return operatorText == "//" ? quotient : remainder;
    }

    private static object Floats(string operatorText, double x, double y)
    {
        if (y == 0 && operatorText is "/" or "//" or "%" && y == 0) throw new ChatTemplateException("Division by zero.");
        return operatorText switch
        {
            "+" => x + y,
            "-" => x - y,
            "*" => x * y,
            "/" => x / y,
            "//" => Math.Floor(x / y),
            "%" => x - y * Math.Floor(x / y),
            _ => Math.Pow(x, y),
        };
    }

    private static object Bounded(long bits, Func<BigInteger> compute) => bits <= MaximumBits ? compute() : throw TooLarge();

    private static ChatTemplateException TooLarge() => new($"A number grows beyond {MaximumBits} bits.");
}

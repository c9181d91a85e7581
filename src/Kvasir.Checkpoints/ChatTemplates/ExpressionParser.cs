using System.Globalization;
using System.Numerics;

namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>Parses expressions by Jinja's precedence: conditional, or, and, not, comparison, sum, ~, product, sign, power, postfix.</summary>
internal sealed class ExpressionParser(TokenReader tokens)
{
    private const int MaximumDepth = 200;

    private int _depth;

    /// <summary>One expression.</summary>
    public Expression Parse(bool withCondition = true)
    {
        if (++_depth > MaximumDepth) throw new ChatTemplateException($"Expressions are nested deeper than {MaximumDepth}.", tokens.Current.Line);
        var value = Or();
        while (withCondition && tokens.Current.IsName("if"))
        {
            var line = tokens.Skip().Line;
            var condition = Or();
            value = new ConditionalExpression(value, condition, tokens.TrySkipName("else") ? Parse() : null, line);
        }
        _depth--;
        return value;
    }

    /// <summary>One expression, or several with commas between: a tuple.</summary>
    public Expression ParseTuple(bool withCondition = true)
    {
        var line = tokens.Current.Line;
        var first = Parse(withCondition);
        if (!tokens.Current.Is(",")) return first;
        var items = new List<Expression> { first };
        while (tokens.TrySkip(","))
        {
            if (tokens.Current.Kind is TokenKind.OutputEnd or TokenKind.BlockEnd || tokens.Current.Is(")") || tokens.Current.IsName("in")) break;
            items.Add(Parse(withCondition));
        }
        return new ListExpression(items, IsTuple: true, line);
    }

    /// <summary>What can be assigned to: a name, a tuple of names, an attribute of a namespace.</summary>
    public Expression ParseTarget()
    {
        var line = tokens.Current.Line;
        var items = new List<Expression>();
        var isTuple = false;
        do
        {
            if (items.Count > 0 && tokens.Current.Kind != TokenKind.Name && !tokens.Current.Is("(")) break;
            items.Add(TargetItem());
            if (tokens.Current.Is(",")) isTuple = true;
        }
        while (tokens.TrySkip(","));
        return isTuple ? new ListExpression(items, IsTuple: true, line) : items[0];
    }

    private Expression TargetItem()
    {
        if (tokens.TrySkip("("))
        {
            var inner = ParseTarget();
            tokens.Expect(")");
            return inner;
        }
        var line = tokens.Current.Line;
        var name = new NameExpression(tokens.TakeName("a name"), line);
        return tokens.TrySkip(".") ? new AttributeExpression(name, tokens.TakeName("an attribute"), line) : name;
    }

    /// <summary>name(arguments) | name …, after the first bar.</summary>
    public List<(string Name, Arguments Arguments)> ParseFilters()
    {
        var filters = new List<(string, Arguments)>();
        do filters.Add((DottedName(), tokens.Current.Is("(") ? ParseArguments() : Arguments.None));
        while (tokens.TrySkip("|"));
        return filters;
    }

    private string DottedName()
    {
        var name = tokens.TakeName("a name");
        while (tokens.TrySkip(".")) name += "." + tokens.TakeName("a name");
        return name;
    }

    private Expression Or() => Chain(And, "or");

    private Expression And() => Chain(Not, "and");

    private Expression Chain(Func<Expression> next, string word)
    {
        var left = next();
        while (tokens.Current.IsName(word))
        {
            var line = tokens.Skip().Line;
            left = new BinaryExpression(word, left, next(), line);
        }
        return left;
    }

    private Expression Not()
    {
        if (!tokens.Current.IsName("not")) return Compare();
        if (++_depth > MaximumDepth) throw new ChatTemplateException($"Expressions are nested deeper than {MaximumDepth}.", tokens.Current.Line);
        var line = tokens.Skip().Line;
        var negated = new UnaryExpression("not", Not(), line);
        _depth--;
        return negated;
    }

    private Expression Compare()
    {
        var line = tokens.Current.Line;
        var first = Sum();
        var rest = new List<(string, Expression)>();
        while (true)
        {
            var token = tokens.Current;
            if (token.Kind == TokenKind.Operator && token.Text is "==" or "!=" or "<" or ">" or "<=" or ">=") rest.Add((tokens.Skip().Text, Sum()));
            else if (tokens.TrySkipName("in")) rest.Add(("in", Sum()));
            else if (token.IsName("not") && tokens.Peek(1).IsName("in"))
            {
                tokens.Skip();
                tokens.Skip();
                rest.Add(("not in", Sum()));
            }
            else return rest.Count == 0 ? first : new CompareExpression(first, rest, line);
        }
    }

    private Expression Sum() => Operators(Concat, "+", "-");

    private Expression Concat() => Operators(Product, "~");

    private Expression Product() => Operators(Signed, "*", "/", "//", "%");

    private Expression Operators(Func<Expression> next, params string[] operators)
    {
        var left = next();
        while (tokens.Current.Kind == TokenKind.Operator && operators.Contains(tokens.Current.Text))
        {
            var token = tokens.Skip();
            left = new BinaryExpression(token.Text, left, next(), token.Line);
        }
        return left;
    }

    /// <summary>A sign binds tighter than a product and looser than a power; filters and tests apply to what it yields.</summary>
    private Expression Signed() => Filters(SignedPlain());

    private Expression SignedPlain()
    {
        if (tokens.Current.Is("-") || tokens.Current.Is("+"))
        {
            if (++_depth > MaximumDepth) throw new ChatTemplateException($"Expressions are nested deeper than {MaximumDepth}.", tokens.Current.Line);
            var token = tokens.Skip();
            var signed = new UnaryExpression(token.Text, SignedPlain(), token.Line);
            _depth--;
            return signed;
        }
        var left = Postfix(Primary());
        while (tokens.Current.Is("**"))
        {
            var line = tokens.Skip().Line;
            left = new BinaryExpression("**", left, SignedPlain(), line);
        }
        return left;
    }

    private Expression Primary()
    {
        var token = tokens.Skip();
        switch (token.Kind)
        {
            case TokenKind.Name:
                return token.Text switch
                {
                    "true" or "True" => new LiteralExpression(true, token.Line),
                    "false" or "False" => new LiteralExpression(false, token.Line),
                    "none" or "None" => new LiteralExpression(null, token.Line),
                    _ => new NameExpression(token.Text, token.Line),
                };
            case TokenKind.String:
                var text = token.Text;
                while (tokens.Current.Kind == TokenKind.String) text += tokens.Skip().Text;
                return new LiteralExpression(text, token.Line);
            case TokenKind.Integer:
                return new LiteralExpression(BigInteger.Parse(token.Text, CultureInfo.InvariantCulture), token.Line);
            case TokenKind.Float:
                return new LiteralExpression(double.Parse(token.Text, CultureInfo.InvariantCulture), token.Line);
            case TokenKind.Operator when token.Text == "(":
                if (tokens.TrySkip(")")) return new ListExpression([], IsTuple: true, token.Line);
                var inner = ParseTuple();
                tokens.Expect(")");
                return inner;
            case TokenKind.Operator when token.Text == "[":
                return new ListExpression(Items("]", () => Parse()), IsTuple: false, token.Line);
            case TokenKind.Operator when token.Text == "{":
                return new DictExpression(Items("}", Pair), token.Line);
            default:
                throw new ChatTemplateException($"Expected a value, but found {(token.Text.Length > 0 ? $"'{token.Text}'" : "the end of the tag")}.", token.Line);
        }
    }

    private (Expression, Expression) Pair()
    {
        var key = Parse();
        tokens.Expect(":");
        return (key, Parse());
    }

    private List<T> Items<T>(string close, Func<T> next)
    {
        var items = new List<T>();
        while (!tokens.TrySkip(close))
        {
            if (items.Count > 0)
            {
                tokens.Expect(",");
                if (tokens.TrySkip(close)) break;
            }
            items.Add(next());
        }
        return items;
    }

    private Expression Postfix(Expression value)
    {
        while (true)
        {
            var line = tokens.Current.Line;
            if (tokens.TrySkip("."))
                value = tokens.Current.Kind == TokenKind.Integer
                    ? new ItemExpression(value, Primary(), line)
                    : new AttributeExpression(value, tokens.TakeName("an attribute"), line);
            else if (tokens.TrySkip("[")) value = Subscript(value, line);
            else if (tokens.Current.Is("(")) value = new CallExpression(value, ParseArguments(), line);
            else return value;
        }
    }

    private Expression Filters(Expression value)
    {
        while (true)
        {
            var line = tokens.Current.Line;
            if (tokens.TrySkip("|"))
            {
                var name = DottedName();
                value = new FilterExpression(value, name, tokens.Current.Is("(") ? ParseArguments() : Arguments.None, line);
            }
            else if (tokens.TrySkipName("is")) value = Test(value, line);
            else if (tokens.Current.Is("(")) value = new CallExpression(value, ParseArguments(), line);
            else if (tokens.Current.Is(".") || tokens.Current.Is("[")) value = Postfix(value);
            else return value;
        }
    }

    private TestExpression Test(Expression value, int line)
    {
        var isNegated = tokens.TrySkipName("not");
        var name = DottedName();
        var arguments = Arguments.None;
        var next = tokens.Current;
        if (next.Is("(")) arguments = ParseArguments();
        else if (next.Kind is TokenKind.String or TokenKind.Integer or TokenKind.Float || next.Is("[") || next.Is("{")
            || (next.Kind == TokenKind.Name && next.Text is not ("else" or "or" or "and" or "is" or "if" or "in" or "not" or "recursive")))
            arguments = new Arguments([Postfix(Primary())], []);
        return new TestExpression(value, name, arguments, isNegated, line);
    }

    private Expression Subscript(Expression value, int line)
    {
        Expression? start = null, stop = null, step = null;
        if (!tokens.Current.Is(":"))
        {
            start = ParseTuple();
            if (tokens.TrySkip("]")) return new ItemExpression(value, start, line);
        }
        tokens.Expect(":");
        if (!tokens.Current.Is("]") && !tokens.Current.Is(":")) stop = Parse();
        if (tokens.TrySkip(":") && !tokens.Current.Is("]")) step = Parse();
        tokens.Expect("]");
        return new SliceExpression(value, start, stop, step, line);
    }

    private Arguments ParseArguments()
    {
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        Expression? star = null, doubleStar = null;
        tokens.Expect("(");
        var first = true;
        while (!tokens.TrySkip(")"))
        {
            if (!first)
            {
                tokens.Expect(",");
                if (tokens.TrySkip(")")) break;
            }
            first = false;
            if (tokens.TrySkip("**")) doubleStar = Parse();
            else if (tokens.TrySkip("*")) star = Parse();
            else if (tokens.Current.Kind == TokenKind.Name && tokens.Peek(1).Is("="))
            {
                var name = tokens.Skip().Text;
                tokens.Skip();
                named.Add((name, Parse()));
            }
            else if (named.Count > 0) throw new ChatTemplateException("A positional argument follows a named one.", tokens.Current.Line);
            else positional.Add(Parse());
        }
        return new Arguments(positional, named, star, doubleStar);
    }
}

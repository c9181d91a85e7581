namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>A piece of a template that is executed.</summary>
internal abstract record Node(int Line);

internal sealed record TextNode(string Text, int Line) : Node(Line);

internal sealed record OutputNode(Expression Value, int Line) : Node(Line);

internal sealed record IfNode(IReadOnlyList<(Expression? Condition, IReadOnlyList<Node> Body)> Branches, int Line) : Node(Line);

internal sealed record ForNode(
    Expression Target, Expression Items, Expression? Filter, bool IsRecursive, IReadOnlyList<Node> Body, IReadOnlyList<Node> Else, int Line) : Node(Line);

internal sealed record SetNode(Expression Target, Expression Value, int Line) : Node(Line);

internal sealed record SetBlockNode(Expression Target, IReadOnlyList<(string Name, Arguments Arguments)> Filters, IReadOnlyList<Node> Body, int Line) : Node(Line);

internal sealed record FilterBlockNode(IReadOnlyList<(string Name, Arguments Arguments)> Filters, IReadOnlyList<Node> Body, int Line) : Node(Line);

internal sealed record MacroNode(string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, IReadOnlyList<Node> Body, int Line) : Node(Line);

internal sealed record CallNode(MacroNode Caller, CallExpression Call, int Line) : Node(Line);

internal sealed record WithNode(IReadOnlyList<(Expression Target, Expression Value)> Bindings, IReadOnlyList<Node> Body, int Line) : Node(Line);

internal sealed record ScopeNode(IReadOnlyList<Node> Body, int Line) : Node(Line);

internal sealed record DoNode(Expression Value, int Line) : Node(Line);

internal sealed record LoopControlNode(bool Breaks, int Line) : Node(Line);

/// <summary>A piece of a template that has a value.</summary>
internal abstract record Expression(int Line);

internal sealed record LiteralExpression(object? Value, int Line) : Expression(Line);

internal sealed record NameExpression(string Name, int Line) : Expression(Line);

internal sealed record ListExpression(IReadOnlyList<Expression> Items, bool IsTuple, int Line) : Expression(Line);

internal sealed record DictExpression(IReadOnlyList<(Expression Key, Expression Value)> Items, int Line) : Expression(Line);

internal sealed record UnaryExpression(string Operator, Expression Operand, int Line) : Expression(Line);

internal sealed record BinaryExpression(string Operator, Expression Left, Expression Right, int Line) : Expression(Line);

/// <summary>a &lt; b &lt; c, each operand evaluated once.</summary>
internal sealed record CompareExpression(Expression First, IReadOnlyList<(string Operator, Expression Right)> Rest, int Line) : Expression(Line);

internal sealed record ConditionalExpression(Expression Then, Expression Condition, Expression? Else, int Line) : Expression(Line);

internal sealed record AttributeExpression(Expression Target, string Name, int Line) : Expression(Line);

internal sealed record ItemExpression(Expression Target, Expression Index, int Line) : Expression(Line);

internal sealed record SliceExpression(Expression Target, Expression? Start, Expression? Stop, Expression? Step, int Line) : Expression(Line);

internal sealed record CallExpression(Expression Target, Arguments Arguments, int Line) : Expression(Line);

internal sealed record FilterExpression(Expression Target, string Name, Arguments Arguments, int Line) : Expression(Line);

internal sealed record TestExpression(Expression Target, string Name, Arguments Arguments, bool IsNegated, int Line) : Expression(Line);

/// <summary>What stands between a call's parentheses.</summary>
internal sealed record Arguments(
    IReadOnlyList<Expression> Positional, IReadOnlyList<(string Name, Expression Value)> Named, Expression? Star = null, Expression? DoubleStar = null)
{
    public static readonly Arguments None = new([], []);
}

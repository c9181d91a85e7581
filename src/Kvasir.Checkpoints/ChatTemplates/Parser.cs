namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>Parses statements; expressions are <see cref="ExpressionParser"/>'s.</summary>
internal sealed class Parser
{
    private const int MaximumDepth = 100;

    private readonly TokenReader _tokens;
    private readonly ExpressionParser _expressions;
    private int _depth;

    private Parser(List<Token> tokens)
    {
        _tokens = new TokenReader(tokens);
        _expressions = new ExpressionParser(_tokens);
    }

    public static IReadOnlyList<Node> Parse(string source)
    {
        var parser = new Parser(new Lexer(source).Run());
        var nodes = parser.Body();
        if (parser._tokens.Current.Kind != TokenKind.End)
            throw new ChatTemplateException($"'{parser._tokens.Peek(1).Text}' closes nothing.", parser._tokens.Current.Line);
        return nodes;
    }

    /// <summary>Nodes up to a tag that begins with one of <paramref name="ends"/> (not consumed) or the end.</summary>
    private List<Node> Body(params ReadOnlySpan<string> ends)
    {
        if (++_depth > MaximumDepth) throw new ChatTemplateException($"Blocks are nested deeper than {MaximumDepth}.", _tokens.Current.Line);
        var nodes = new List<Node>();
        for (var token = _tokens.Current; token.Kind != TokenKind.End; token = _tokens.Current)
        {
            if (token.Kind == TokenKind.BlockStart && _tokens.Peek(1) is { Kind: TokenKind.Name } tag)
            {
                if (tag.Text.StartsWith("end", StringComparison.Ordinal) || tag.Text is "else" or "elif")
                {
                    if (ends.Contains(tag.Text)) break;
                    throw new ChatTemplateException($"'{tag.Text}' is out of place here.", tag.Line);
                }
            }
            _tokens.Skip();
            nodes.Add(token.Kind switch
            {
                TokenKind.Text => new TextNode(token.Text, token.Line),
                TokenKind.OutputStart => Output(token.Line),
                _ => Statement(_tokens.TakeName("a statement"), token.Line),
            });
        }
        _depth--;
        return nodes;
    }

    private OutputNode Output(int line)
    {
        var value = _expressions.ParseTuple();
        _tokens.Expect(TokenKind.OutputEnd, "}}");
        return new OutputNode(value, line);
    }

    private Node Statement(string name, int line) => name switch
    {
        "if" => If(line),
        "for" => For(line),
        "set" => Set(line),
        "macro" => Macro(line),
        "call" => Call(line),
        "with" => With(line),
        "filter" => Filter(line),
        "generation" => new ScopeNode(Block("endgeneration"), line),
        "do" => Do(line),
        "break" or "continue" => Control(name, line),
        _ => throw new ChatTemplateException($"The statement '{name}' is not one that chat templates may use.", line),
    };

    /// <summary>The rest of the opening tag, a body, and the closing tag.</summary>
    private List<Node> Block(string end)
    {
        EndTag();
        var body = Body(end);
        Close(end);
        return body;
    }

    private void EndTag() => _tokens.Expect(TokenKind.BlockEnd, "%}");

    private void Close(string end)
    {
        if (_tokens.Current.Kind == TokenKind.End) throw new ChatTemplateException($"'{end}' is missing at the end of the template.", _tokens.Current.Line);
        _tokens.Skip();
        _tokens.Skip();
        EndTag();
    }

    private IfNode If(int line)
    {
        var branches = new List<(Expression?, IReadOnlyList<Node>)>();
        var condition = (Expression?)_expressions.ParseTuple();
        while (true)
        {
            EndTag();
            branches.Add((condition, Body("elif", "else", "endif")));
            if (_tokens.Current.Kind == TokenKind.End || _tokens.Peek(1).Text == "endif") break;
            _tokens.Skip();
            var isElse = _tokens.TakeName("else") == "else";
            if (isElse && condition is null) throw new ChatTemplateException("An 'else' follows an 'else'.", line);
            condition = isElse ? null : _expressions.ParseTuple();
        }
        Close("endif");
        return new IfNode(branches, line);
    }

    private ForNode For(int line)
    {
        var target = _expressions.ParseTarget();
        _tokens.ExpectName("in");
        var items = _expressions.ParseTuple(withCondition: false);
        var filter = _tokens.TrySkipName("if") ? _expressions.Parse() : null;
        var isRecursive = _tokens.TrySkipName("recursive");
        EndTag();
        var body = Body("else", "endfor");
        List<Node> otherwise = [];
        if (_tokens.Current.Kind != TokenKind.End && _tokens.Peek(1).Text == "else")
        {
            _tokens.Skip();
            _tokens.Skip();
            EndTag();
            otherwise = Body("endfor");
        }
        Close("endfor");
        return new ForNode(target, items, filter, isRecursive, body, otherwise, line);
    }

    private Node Set(int line)
    {
        var target = _expressions.ParseTarget();
        if (_tokens.TrySkip("="))
        {
            var value = _expressions.ParseTuple();
            EndTag();
            return new SetNode(target, value, line);
        }
        var filters = _tokens.TrySkip("|") ? _expressions.ParseFilters() : [];
        return new SetBlockNode(target, filters, Block("endset"), line);
    }

    private MacroNode Macro(int line)
    {
        var name = _tokens.TakeName("a macro's name");
        return new MacroNode(name, Parameters(), Block("endmacro"), line);
    }

    private List<(string, Expression?)> Parameters()
    {
        var parameters = new List<(string, Expression?)>();
        _tokens.Expect("(");
        while (!_tokens.TrySkip(")"))
        {
            if (parameters.Count > 0) _tokens.Expect(",");
            if (_tokens.TrySkip(")")) break;
            parameters.Add((_tokens.TakeName("a parameter"), _tokens.TrySkip("=") ? _expressions.Parse() : null));
        }
        return parameters;
    }

    private CallNode Call(int line)
    {
        var parameters = _tokens.Current.Is("(") ? Parameters() : [];
        if (_expressions.Parse() is not CallExpression call) throw new ChatTemplateException("A call block needs a call.", line);
        return new CallNode(new MacroNode("caller", parameters, Block("endcall"), line), call, line);
    }

    private WithNode With(int line)
    {
        var bindings = new List<(Expression, Expression)>();
        while (_tokens.Current.Kind != TokenKind.BlockEnd)
        {
            if (bindings.Count > 0) _tokens.Expect(",");
            var target = _expressions.ParseTarget();
            _tokens.Expect("=");
            bindings.Add((target, _expressions.Parse()));
        }
        return new WithNode(bindings, Block("endwith"), line);
    }

    private FilterBlockNode Filter(int line)
    {
        var filters = _expressions.ParseFilters();
        return new FilterBlockNode(filters, Block("endfilter"), line);
    }

    private DoNode Do(int line)
    {
        var value = _expressions.ParseTuple();
        EndTag();
        return new DoNode(value, line);
    }

    private LoopControlNode Control(string name, int line)
    {
        EndTag();
        return new LoopControlNode(name == "break", line);
    }
}

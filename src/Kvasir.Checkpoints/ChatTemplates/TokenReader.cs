namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>A position among tokens, shared by the statement and the expression parser.</summary>
internal sealed class TokenReader(List<Token> tokens)
{
    private int _at;

    public Token Current => tokens[_at];

    public Token Peek(int ahead) => tokens[Math.Min(_at + ahead, tokens.Count - 1)];

    public Token Skip()
    {
        var token = tokens[_at];
        if (_at < tokens.Count - 1) _at++;
        return token;
    }

    public bool TrySkip(string operatorText)
    {
        if (!Current.Is(operatorText)) return false;
        Skip();
        return true;
    }

    public bool TrySkipName(string name)
    {
        if (!Current.IsName(name)) return false;
        Skip();
        return true;
    }

    public void Expect(string operatorText)
    {
        if (!TrySkip(operatorText)) throw Unexpected($"'{operatorText}'");
    }

    public void ExpectName(string name)
    {
        if (!TrySkipName(name)) throw Unexpected($"'{name}'");
    }

    public void Expect(TokenKind kind, string what)
    {
        if (Current.Kind != kind) throw Unexpected($"'{what}'");
        Skip();
    }

    public string TakeName(string what) => Current.Kind == TokenKind.Name ? Skip().Text : throw Unexpected(what);

    public ChatTemplateException Unexpected(string expected) => new(
        $"Expected {expected}, but found {(Current.Text.Length > 0 ? $"'{Current.Text}'" : "the end of the tag")}.", Current.Line);
}

using System.Globalization;
using System.Text;

namespace Kvasir.Checkpoints.ChatTemplates;

internal enum TokenKind { Text, OutputStart, OutputEnd, BlockStart, BlockEnd, Name, Integer, Float, String, Operator, End }

internal readonly record struct Token(TokenKind Kind, string Text, int Line)
{
    public bool Is(string operatorText) => Kind == TokenKind.Operator && Text == operatorText;

    public bool IsName(string name) => Kind == TokenKind.Name && Text == name;
}

/// <summary>Splits a Jinja template into tokens, under trim_blocks and lstrip_blocks as chat templates are rendered.</summary>
internal sealed class Lexer(string source)
{
    private static readonly string[] Operators =
        ["**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ":", ".", "|"];

    private readonly List<Token> _tokens = [];
    private int _at;
    private int _line = 1;

    public List<Token> Run()
    {
        var trimNext = TrimNext.Nothing;
        while (_at < source.Length)
        {
            var open = FindOpen();
            AddText(open, trimNext);
            trimNext = TrimNext.Nothing;
            if (open == source.Length) break;
            Advance(open);
            var mark = source[_at + 1];
            Advance(_at + 2);
            if (_at < source.Length && source[_at] is '-' or '+') Advance(_at + 1);
            if (mark == '#') trimNext = Comment();
            else if (mark == '%' && TryRaw() is { } raw) trimNext = raw;
            else trimNext = Code(mark);
        }
        _tokens.Add(new Token(TokenKind.End, "", _line));
        return _tokens;
    }

    private enum TrimNext { Nothing, Newline, Whitespace }

    private int FindOpen()
    {
        for (var i = source.IndexOf('{', _at); i >= 0 && i + 1 < source.Length; i = source.IndexOf('{', i + 1))
            if (source[i + 1] is '{' or '%' or '#') return i;
        return source.Length;
    }

    private void AddText(int end, TrimNext trim)
    {
        var start = _at;
        if (trim == TrimNext.Whitespace) while (start < end && char.IsWhiteSpace(source[start])) start++;
        else if (trim == TrimNext.Newline && start < end && source[start] == '\n') start++;
        else if (trim == TrimNext.Newline && start + 1 < end && source[start] == '\r' && source[start + 1] == '\n') start += 2;
        var stop = end;
        if (end + 2 < source.Length)
        {
            var sign = source[end + 2];
            if (sign == '-') while (stop > start && char.IsWhiteSpace(source[stop - 1])) stop--;
            else if (sign != '+' && source[end + 1] != '{') stop = StripLine(start, stop);
        }
        if (stop > start) _tokens.Add(new Token(TokenKind.Text, source[start..stop], _line));
        Advance(end);
    }

    /// <summary>lstrip_blocks: blanks between a line's start and a block are dropped.</summary>
    private int StripLine(int start, int stop)
    {
        var blank = stop;
        while (blank > start && source[blank - 1] is ' ' or '\t') blank--;
        var startsLine = blank == 0 || source[blank - 1] == '\n';
        return startsLine ? blank : stop;
    }

    private TrimNext Comment()
    {
        var end = source.IndexOf("#}", _at, StringComparison.Ordinal);
        if (end < 0) throw new ChatTemplateException("A comment is not closed by '#}'.", _line);
        var trim = end > 0 && source[end - 1] == '-' ? TrimNext.Whitespace : source[end - 1] == '+' ? TrimNext.Nothing : TrimNext.Newline;
        Advance(end + 2);
        return trim;
    }

    /// <summary>A raw block's text, or null when the block at hand is another.</summary>
    private TrimNext? TryRaw()
    {
        var i = SkipBlanks(_at);
        if (string.CompareOrdinal(source, i, "raw", 0, 3) != 0) return null;
        i = SkipBlanks(i + 3);
        var sign = i < source.Length && source[i] is '-' or '+' ? source[i++] : '\0';
        if (string.CompareOrdinal(source, i, "%}", 0, 2) != 0) return null;
        i += 2;
        for (var end = source.IndexOf("{%", i, StringComparison.Ordinal); end >= 0; end = source.IndexOf("{%", end + 2, StringComparison.Ordinal))
        {
            var j = end + 2;
            var before = j < source.Length && source[j] is '-' or '+' ? source[j++] : '\0';
            j = SkipBlanks(j);
            if (string.CompareOrdinal(source, j, "endraw", 0, 6) != 0) continue;
            j = SkipBlanks(j + 6);
            var after = j < source.Length && source[j] is '-' or '+' ? source[j++] : '\0';
            if (string.CompareOrdinal(source, j, "%}", 0, 2) != 0) continue;
            var text = source[i..end];
            if (sign == '-') text = text.TrimStart();
            else if (sign != '+' && text.StartsWith('\n')) text = text[1..];
            if (before == '-') text = text.TrimEnd();
            else if (before != '+' && text.TrimEnd(' ', '\t') is var stripped && (stripped.Length == 0 || stripped.EndsWith('\n'))) text = stripped;
            if (text.Length > 0) _tokens.Add(new Token(TokenKind.Text, text, _line));
            Advance(j + 2);
            return after == '-' ? TrimNext.Whitespace : after == '+' ? TrimNext.Nothing : TrimNext.Newline;
        }
        throw new ChatTemplateException("A raw block is not closed by '{% endraw %}'.", _line);
    }

    private int SkipBlanks(int i)
    {
        while (i < source.Length && char.IsWhiteSpace(source[i])) i++;
        return i;
    }

    private TrimNext Code(char mark)
    {
        var close = mark == '{' ? "}}" : "%}";
        _tokens.Add(new Token(mark == '{' ? TokenKind.OutputStart : TokenKind.BlockStart, "", _line));
        var depth = 0;
        while (true)
        {
            Advance(SkipBlanks(_at));
            if (_at >= source.Length) throw new ChatTemplateException($"A tag is not closed by '{close}'.", _line);
            if (depth == 0 && Closes(close) is { } trim)
            {
                _tokens.Add(new Token(mark == '{' ? TokenKind.OutputEnd : TokenKind.BlockEnd, "", _line));
                return mark == '{' && trim == TrimNext.Newline ? TrimNext.Nothing : trim;
            }
            var token = Next();
            if (token.Kind == TokenKind.Operator && token.Text is "(" or "[" or "{") depth++;
            if (token.Kind == TokenKind.Operator && token.Text is ")" or "]" or "}") depth = Math.Max(0, depth - 1);
            _tokens.Add(token);
        }
    }

    private TrimNext? Closes(string close)
    {
        if (string.CompareOrdinal(source, _at, close, 0, 2) == 0)
        {
            Advance(_at + 2);
            return TrimNext.Newline;
        }
        if (source[_at] is not ('-' or '+') || string.CompareOrdinal(source, _at + 1, close, 0, 2) != 0) return null;
        var trim = source[_at] == '-' ? TrimNext.Whitespace : TrimNext.Nothing;
        Advance(_at + 3);
        return trim;
    }

    private Token Next()
    {
        var (c, line) = (source[_at], _line);
        if (char.IsLetter(c) || c == '_')
        {
            var end = _at;
            while (end < source.Length && (char.IsLetterOrDigit(source[end]) || source[end] == '_')) end++;
            return Take(TokenKind.Name, end);
        }
        if (char.IsAsciiDigit(c)) return Number();
        if (c is '"' or '\'') return new Token(TokenKind.String, Quoted(c), line);
        foreach (var candidate in Operators)
            if (string.CompareOrdinal(source, _at, candidate, 0, candidate.Length) == 0) return Take(TokenKind.Operator, _at + candidate.Length);
        throw new ChatTemplateException($"'{c}' has no meaning here.", line);
    }

    private Token Number()
    {
        var end = _at;
        while (end < source.Length && (char.IsAsciiDigit(source[end]) || source[end] == '_')) end++;
        var kind = TokenKind.Integer;
        if (end + 1 < source.Length && source[end] == '.' && char.IsAsciiDigit(source[end + 1]))
        {
            kind = TokenKind.Float;
            for (end++; end < source.Length && char.IsAsciiDigit(source[end]);) end++;
        }
        if (end < source.Length && source[end] is 'e' or 'E')
        {
            var exponent = end + 1;
            if (exponent < source.Length && source[exponent] is '+' or '-') exponent++;
            if (exponent < source.Length && char.IsAsciiDigit(source[exponent]))
            {
                kind = TokenKind.Float;
                for (end = exponent; end < source.Length && char.IsAsciiDigit(source[end]);) end++;
            }
        }
        var token = Take(kind, end);
        return token with { Text = token.Text.Replace("_", "", StringComparison.Ordinal) };
    }

    private Token Take(TokenKind kind, int end)
    {
        var token = new Token(kind, source[_at..end], _line);
        Advance(end);
        return token;
    }

    private string Quoted(char quote)
    {
        var line = _line;
        var text = new StringBuilder();
        for (var i = _at + 1; i < source.Length; i++)
        {
            if (source[i] == quote)
            {
                Advance(i + 1);
                return text.ToString();
            }
            if (source[i] != '\\' || i + 1 >= source.Length) text.Append(source[i]);
            else i = Escape(i + 1, text);
        }
        throw new ChatTemplateException("A string is not closed.", line);
    }

    /// <summary>Appends a Python escape sequence; returns the index of its last character.</summary>
    private int Escape(int i, StringBuilder text)
    {
        var c = source[i];
        var simple = "\\\\''\"\"n\nr\rt\tb\bf\fv\va\a0\0\n\n".IndexOf(c, StringComparison.Ordinal);
        if (c == '\n') return i;
        var digits = c switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0 && i + digits < source.Length
            && int.TryParse(source.AsSpan(i + 1, digits), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var code)
            && code is >= 0 and <= 0x10FFFF)
        {
            text.Append(code is >= 0xD800 and <= 0xDFFF ? ((char)code).ToString() : char.ConvertFromUtf32(code));
            return i + digits;
        }
        if (simple >= 0 && simple % 2 == 0 && digits == 0) text.Append("\\\\''\"\"n\nr\rt\tb\bf\fv\va\a0\0"[simple + 1]);
        else text.Append('\\').Append(c);
        return i;
    }

    private void Advance(int to)
    {
        for (; _at < to; _at++)
            if (source[_at] == '\n') _line++;
    }
}

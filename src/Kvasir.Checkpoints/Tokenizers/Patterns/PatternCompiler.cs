using System.Globalization;

namespace Kvasir.Checkpoints.Tokenizers.Patterns;

/// <summary>
/// Compiles the regular expressions that tokenizers are written in: classes with ranges, properties, nesting and <c>&amp;&amp;</c>; groups;
/// greedy, lazy and possessive repetition; alternation; look-ahead; look-behind of one character; anchors; <c>(?i:</c>.
/// </summary>
internal sealed class PatternCompiler
{
    private const int MostInstructions = 20_000;
    private const int MostDepth = 100;

    private readonly string _pattern;
    private readonly bool _asciiDigits;
    private readonly List<Instruction> _program = [];
    private bool _ignoreCase;
    private int _at;
    private int _depth;

    private PatternCompiler(string pattern, bool asciiDigits) => (_pattern, _asciiDigits) = (pattern, asciiDigits);

    /// <summary>Compiles a pattern.</summary>
    /// <param name="pattern">The regular expression.</param>
    /// <param name="asciiDigits">Whether \d is 0 to 9 alone.</param>
    /// <exception cref="CheckpointException">It is malformed or uses what is not known.</exception>
    public static Instruction[] Compile(string pattern, bool asciiDigits = false)
    {
        var compiler = new PatternCompiler(pattern, asciiDigits);
        compiler.Alternatives();
        if (compiler._at < pattern.Length)
            throw compiler.Error("an unbalanced parenthesis");
        compiler.Emit(new Instruction(Operation.Match));
        return [.. compiler._program];
    }

    private void Alternatives()
    {
        if (++_depth > MostDepth)
            throw Error("groups nested too deeply");
        int start = _program.Count;
        var jumps = new List<Instruction>();
        Sequence();
        while (Accept("|"))
        {
            var jump = new Instruction(Operation.Jump);
            Insert(start, new Instruction(Operation.Split) { Target = start + 1, Other = _program.Count + 2 });
            Emit(jump);
            jumps.Add(jump);
            start = _program.Count;
            Sequence();
        }
        foreach (var jump in jumps)
            jump.Target = _program.Count;
        _depth--;
    }

    private void Sequence()
    {
        while (_at < _pattern.Length && _pattern[_at] is not ('|' or ')'))
        {
            int start = _program.Count;
            Atom();
            Repetition(start);
        }
    }

    private void Atom()
    {
        char c = _pattern[_at++];
        switch (c)
        {
            case '(':
                Group();
                break;
            case '[':
                EmitSet(Class());
                break;
            case '.':
                EmitSet(new CodePointSet { Negated = true }.Add('\n', '\n'));
                break;
            case '^':
                Emit(new Instruction(Operation.TextStart));
                break;
            case '$':
                Emit(new Instruction(Operation.TextEnd));
                break;
            case '\\' when _at < _pattern.Length && _pattern[_at] is 'b' or 'B':
                Emit(new Instruction(Operation.WordEdge) { Negated = _pattern[_at++] == 'B' });
                break;
            case '\\' when _at < _pattern.Length && _pattern[_at] is 'A' or 'z' or 'Z':
                Emit(new Instruction(_pattern[_at++] == 'A' ? Operation.TextStart : Operation.TextEnd));
                break;
            case '*' or '+' or '?':
                throw Error("a repetition of nothing");
            default:
                _at--;
                var set = new CodePointSet { IgnoresCase = _ignoreCase };
                AddItem(set, inClass: false);
                EmitSet(set);
                break;
        }
    }

    private void Group()
    {
        if (Accept("?="))
            LookAhead(negated: false);
        else if (Accept("?!"))
            LookAhead(negated: true);
        else if (Accept("?<="))
            LookBehind(negated: false);
        else if (Accept("?<!"))
            LookBehind(negated: true);
        else if (Accept("?>"))
            Nested(new Instruction(Operation.Atomic));
        else
            PlainGroup();
    }

    private void PlainGroup()
    {
        bool outer = _ignoreCase;
        if (Accept("?i:"))
            _ignoreCase = true;
        else if (Accept("?-i:"))
            _ignoreCase = false;
        else if (Accept("?i)"))
        {
            _ignoreCase = true;
            return;
        }
        else if (!Accept("?:") && _at < _pattern.Length && _pattern[_at] == '?')
            throw Error("a kind of group that is not known");
        Alternatives();
        Close();
        _ignoreCase = outer;
    }

    private void LookAhead(bool negated) => Nested(new Instruction(Operation.LookAhead) { Negated = negated });

    private void Nested(Instruction instruction)
    {
        Emit(instruction);
        Alternatives();
        Emit(new Instruction(Operation.Match));
        Close();
        instruction.Target = _program.Count;
    }

    private void LookBehind(bool negated)
    {
        int start = _program.Count;
        Alternatives();
        Close();
        if (_program.Count != start + 1 || _program[start].Operation != Operation.Set)
            throw Error("a look-behind of more than one character");
        _program[start] = new Instruction(Operation.LookBehind) { Set = _program[start].Set, Negated = negated };
    }

    private void Repetition(int start)
    {
        if (!Bounds(out int minimum, out int maximum))
            return;
        bool possessive = Accept("+"), lazy = !possessive && Accept("?");
        if (_program.Count == start + 1 && _program[start].Operation == Operation.Set && !lazy)
        {
            _program[start] = new Instruction(possessive ? Operation.PossessiveRun : Operation.Run) { Set = _program[start].Set, Minimum = minimum, Maximum = maximum };
            return;
        }
        var body = _program[start..];
        _program.RemoveRange(start, body.Count);
        Instruction? atomic = possessive ? new Instruction(Operation.Atomic) : null;
        if (atomic is not null)
            Emit(atomic);
        for (int i = 0; i < minimum; i++)
            EmitCopy(body, start);
        if (maximum == int.MaxValue)
        {
            int loop = _program.Count;
            var split = Choice(lazy);
            Emit(split);
            EmitCopy(body, start);
            Emit(new Instruction(Operation.Jump) { Target = loop });
            Leave(split, lazy);
        }
        else
        {
            var splits = new List<Instruction>();
            for (int i = minimum; i < maximum; i++)
            {
                splits.Add(Choice(lazy));
                Emit(splits[^1]);
                EmitCopy(body, start);
            }
            splits.ForEach(split => Leave(split, lazy));
        }
        if (atomic is not null)
        {
            Emit(new Instruction(Operation.Match));
            atomic.Target = _program.Count;
        }
    }

    /// <summary>A split whose one way is the next instruction; <see cref="Leave"/> sets the other.</summary>
    private Instruction Choice(bool lazy)
    {
        int next = _program.Count + 1;
        return lazy ? new Instruction(Operation.Split) { Other = next } : new Instruction(Operation.Split) { Target = next };
    }

    private void Leave(Instruction split, bool lazy)
    {
        if (lazy)
            split.Target = _program.Count;
        else
            split.Other = _program.Count;
    }

    private bool Bounds(out int minimum, out int maximum)
    {
        (minimum, maximum) = (1, 1);
        if (Accept("*"))
            (minimum, maximum) = (0, int.MaxValue);
        else if (Accept("+"))
            (minimum, maximum) = (1, int.MaxValue);
        else if (Accept("?"))
            (minimum, maximum) = (0, 1);
        else if (_at < _pattern.Length && _pattern[_at] == '{' && _pattern.IndexOf('}', _at) is > 0 and var close)
        {
            string[] parts = _pattern[(_at + 1)..close].Split(',');
            _at = close + 1;
            if (parts.Length > 2 || !Number(parts[0], 0, out minimum) || !Number(parts[^1], int.MaxValue, out maximum) || maximum < minimum)
                throw Error("a repetition that is no number or range");
        }
        else
            return false;
        return true;
    }

    private static bool Number(string text, int whenEmpty, out int value)
    {
        value = whenEmpty;
        return text.Length == 0 || (int.TryParse(text, NumberStyles.None, null, out value) && value <= 1000);
    }

    private CodePointSet Class()
    {
        if (++_depth > MostDepth)
            throw Error("classes nested too deeply");
        var set = new CodePointSet { IgnoresCase = _ignoreCase, Negated = Accept("^") };
        while (!Accept("]"))
        {
            if (_at >= _pattern.Length)
                throw Error("a class without an end");
            if (Accept("&&"))
            {
                set.And = Intersection();
                break;
            }
            if (Accept("["))
                set.AddSet(Class());
            else
                AddItem(set, inClass: true);
        }
        _depth--;
        return set;
    }

    /// <summary>What follows <c>&amp;&amp;</c>, up to the end of the class.</summary>
    private CodePointSet Intersection()
    {
        var set = new CodePointSet { IgnoresCase = _ignoreCase };
        while (!Accept("]"))
        {
            if (_at >= _pattern.Length)
                throw Error("a class without an end");
            if (Accept("["))
                set.AddSet(Class());
            else
                AddItem(set, inClass: true);
        }
        return set;
    }

    private void AddItem(CodePointSet set, bool inClass)
    {
        if (_pattern[_at] == '\\' && TryShorthand(set))
            return;
        int first = Literal();
        int last = first;
        if (inClass && _at + 1 < _pattern.Length && _pattern[_at] == '-' && _pattern[_at + 1] != ']')
        {
            _at++;
            last = Literal();
        }
        if (last < first)
            throw Error("a range that runs backwards");
        set.Add(first, last);
    }

    private bool TryShorthand(CodePointSet set)
    {
        if (_at + 1 >= _pattern.Length)
            throw Error("a backslash at the end");
        char letter = _pattern[_at + 1];
        if (letter is 'p' or 'P')
        {
            _at += 2;
            string name = PropertyName(out bool negated);
            var property = PatternSets.Property(name) ?? throw Error($"the property {name}");
            set.AddSet(property, negated != (letter == 'P'));
            return true;
        }
        if (PatternSets.Shorthand(letter) is not { } shorthand)
            return false;
        _at += 2;
        set.AddSet(letter == 'd' && _asciiDigits ? new CodePointSet().Add('0', '9') : shorthand);
        return true;
    }

    private string PropertyName(out bool negated)
    {
        negated = false;
        if (!Accept("{"))
            return _at < _pattern.Length ? _pattern[_at++].ToString() : throw Error("a property without a name");
        negated = Accept("^");
        int close = _pattern.IndexOf('}', _at);
        if (close < 0)
            throw Error("a property without an end");
        string name = _pattern[_at..close];
        _at = close + 1;
        return name;
    }

    private int Literal()
    {
        if (_at >= _pattern.Length)
            throw Error("a missing character");
        if (_pattern[_at] != '\\')
        {
            if (!System.Text.Rune.TryGetRuneAt(_pattern, _at, out var rune))
                throw Error("half a character");
            _at += rune.Utf16SequenceLength;
            return rune.Value;
        }
        _at++;
        char c = _at < _pattern.Length ? _pattern[_at++] : throw Error("a backslash at the end");
        return c switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\f',
            'v' => '\v',
            'a' => '\a',
            'e' => 0x1B,
            '0' => 0,
            'x' => Hex(2),
            'u' => Hex(4),
            _ when char.IsAsciiLetterOrDigit(c) => throw Error($"the escape \\{c}"),
            _ => c,
        };
    }

    private int Hex(int digits)
    {
        string text;
        if (Accept("{"))
        {
            int close = Math.Max(_at, _pattern.IndexOf('}', _at));
            text = _pattern[_at..close];
            _at = Math.Min(close + 1, _pattern.Length);
        }
        else
        {
            text = _pattern[_at..Math.Min(_at + digits, _pattern.Length)];
            _at += text.Length;
        }
        return int.TryParse(text, NumberStyles.AllowHexSpecifier, null, out int value) && value is >= 0 and < 0x110000 ? value : throw Error("a hexadecimal number that is no code point");
    }

    private void EmitSet(CodePointSet set) => Emit(new Instruction(Operation.Set) { Set = set });

    /// <summary>Emits a body again; its inner targets move with it.</summary>
    private void EmitCopy(List<Instruction> body, int compiledAt)
    {
        int shift = _program.Count - compiledAt;
        foreach (var instruction in body)
            Emit(instruction with { Target = instruction.Target + shift, Other = instruction.Other + shift });
    }

    private void Insert(int index, Instruction instruction)
    {
        for (int i = index; i < _program.Count; i++)
        {
            _program[i].Target++;
            _program[i].Other++;
        }
        _program.Insert(index, instruction);
    }

    private void Emit(Instruction instruction)
    {
        if (_program.Count >= MostInstructions)
            throw Error("too much to compile");
        _program.Add(instruction);
    }

    private bool Accept(string text)
    {
        if (string.CompareOrdinal(_pattern, _at, text, 0, text.Length) != 0)
            return false;
        _at += text.Length;
        return true;
    }

    private void Close()
    {
        if (!Accept(")"))
            throw Error("a group without an end");
    }

    private CheckpointException Error(string what) =>
        new($"The tokenizer's pattern \"{_pattern}\" has {what} at character {_at}, which Kvasir does not read.");
}

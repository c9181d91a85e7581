using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers.Patterns;

/// <summary>Runs a compiled pattern at one place of a text, with a stack of its own, so that no text overflows the thread's.</summary>
internal static class PatternMachine
{
    private const long FreeSteps = 1_000_000;
    private const long StepsPerByte = 1000;

    /// <summary>Somewhere to go on from when the way taken fails.</summary>
    private readonly record struct Choice(int Instruction, int At, int NotBefore);

    /// <summary>The end of the match at <paramref name="at"/>; -1 when there is none.</summary>
    /// <exception cref="CheckpointException">The pattern tries exponentially many ways.</exception>
    public static int Match(Instruction[] program, ReadOnlySpan<byte> text, int at)
    {
        long steps = FreeSteps + StepsPerByte * (text.Length - at);
        return Run(program, 0, text, at, ref steps);
    }

    private static int Run(Instruction[] program, int start, ReadOnlySpan<byte> text, int at, ref long steps)
    {
        var choices = new ChoiceStack();
        int pc = start;
        while (true)
        {
            if (--steps < 0)
                throw new CheckpointException("A pattern of the tokenizer needs too many steps on this text; its tokenizer.json is damaged or hostile.");
            var step = program[pc];
            bool holds = true;
            switch (step.Operation)
            {
                case Operation.Set:
                    holds = at < text.Length && step.Set!.Contains(Utf8Text.CodePoint(text, at, out int length)) && (at += length) > 0;
                    break;
                case Operation.Run or Operation.PossessiveRun:
                    holds = Take(step, text, ref at, out int notBefore);
                    if (holds && step.Operation == Operation.Run && at > notBefore)
                        choices.Push(new Choice(pc + 1, at, notBefore));
                    break;
                case Operation.Split:
                    choices.Push(new Choice(step.Other, at, -1));
                    pc = step.Target;
                    continue;
                case Operation.Jump:
                    pc = step.Target;
                    continue;
                case Operation.LookAhead:
                    holds = Run(program, pc + 1, text, at, ref steps) >= 0 != step.Negated;
                    if (holds)
                        pc = step.Target - 1;
                    break;
                case Operation.Atomic:
                    int inner = Run(program, pc + 1, text, at, ref steps);
                    holds = inner >= 0;
                    if (holds)
                        (pc, at) = (step.Target - 1, inner);
                    break;
                case Operation.Match:
                    return at;
                default:
                    holds = HoldsHere(step, text, at);
                    break;
            }
            if (holds)
                pc++;
            else if (!choices.TryPop(text, out pc, out at))
                return -1;
        }
    }

    private static bool Take(Instruction step, ReadOnlySpan<byte> text, ref int at, out int notBefore)
    {
        int count = 0;
        notBefore = step.Minimum == 0 ? at : -1;
        while (count < step.Maximum && at < text.Length && step.Set!.Contains(Utf8Text.CodePoint(text, at, out int length)))
        {
            at += length;
            if (++count == step.Minimum)
                notBefore = at;
        }
        return count >= step.Minimum;
    }

    private static bool HoldsHere(Instruction step, ReadOnlySpan<byte> text, int at) => step.Operation switch
    {
        Operation.LookBehind => (at > 0 && step.Set!.Contains(Utf8Text.CodePoint(text, Utf8Text.Before(text, at), out _))) != step.Negated,
        Operation.TextStart => at == 0,
        Operation.TextEnd => at == text.Length,
        _ => (IsWord(text, at) != (at > 0 && IsWord(text, Utf8Text.Before(text, at)))) != step.Negated,
    };

    private static bool IsWord(ReadOnlySpan<byte> text, int at) =>
        at < text.Length && PatternSets.Word.Contains(Utf8Text.CodePoint(text, at, out _));

    private struct ChoiceStack
    {
        private Choice[]? _items;
        private int _count;

        public void Push(Choice choice)
        {
            _items ??= new Choice[16];
            if (_count == _items.Length)
                Array.Resize(ref _items, _count * 2);
            _items[_count++] = choice;
        }

        /// <summary>The latest choice; a run gives back one character and stays while it has more to give.</summary>
        public bool TryPop(ReadOnlySpan<byte> text, out int pc, out int at)
        {
            (pc, at) = (0, 0);
            if (_count == 0)
                return false;
            ref var choice = ref _items![_count - 1];
            (pc, at) = (choice.Instruction, choice.At);
            if (choice.NotBefore < 0)
            {
                _count--;
                return true;
            }
            at = Utf8Text.Before(text, at);
            if (at > choice.NotBefore)
                choice = choice with { At = at };
            else
                _count--;
            return true;
        }
    }
}

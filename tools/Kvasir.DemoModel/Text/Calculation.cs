namespace Kvasir.DemoModel.Text;

/// <summary>A worked answer and the quantity that it ends with.</summary>
internal sealed record Worked(string Text, string Final);

/// <summary>A small change to a calculation, asked as a follow-up: slot number and wording.</summary>
internal sealed record Change(int Slot, string Wording);

/// <summary>A kind of calculation: how numbers are drawn, how one asks for it, how it is worked out.</summary>
/// <param name="Name">Kind, as the evaluation's table names it.</param>
/// <param name="Draw">Draws the numbers.</param>
/// <param name="Show">The numbers as they stand in a question.</param>
/// <param name="Work">The worked answer.</param>
/// <param name="Wordings">Ways to ask; the last <see cref="HeldOutWordings"/> are never trained on.</param>
/// <param name="Changes">Follow-ups that change one number.</param>
internal sealed record Calculation(
    string Name, Func<Random, int[]> Draw, Func<int[], object[]> Show, Func<int[], Worked> Work, string[] Wordings, params Change[] Changes)
{
    public const int HeldOutWordings = 2;

    /// <summary>One combination of numbers in twelve is kept from training.</summary>
    public bool IsHeldOut(int[] numbers) => Choice.StableHash(Name + ":" + string.Join(',', numbers)) % 12 == 0;

    public Exchange Ask(Random random, bool heldOutNumbers, bool heldOutWording)
    {
        int[] numbers = DrawNumbers(random, heldOutNumbers);
        string wording = random.PickWording(Wordings, HeldOutWordings, heldOutWording);
        return Answer(numbers, wording, heldOutNumbers);
    }

    private Exchange Answer(int[] numbers, string wording, bool heldOutNumbers)
    {
        Worked worked = Work(numbers);
        return new(Name, string.Format(wording, Show(numbers)), worked.Text, worked.Final, Changes.Length == 0 ? null : next => Vary(next, numbers, heldOutNumbers));
    }

    private Exchange Vary(Random random, int[] numbers, bool heldOutNumbers)
    {
        Change change = random.Pick(Changes);
        for (int attempt = 0; ; attempt++)
        {
            int[] changed = [.. numbers];
            changed[change.Slot] = Draw(random)[change.Slot];
            if (attempt > 400 || IsHeldOut(changed) == heldOutNumbers)
                return Answer(changed, change.Wording, heldOutNumbers) with { Kind = "follow-up" };
        }
    }

    private int[] DrawNumbers(Random random, bool heldOut)
    {
        while (true)
        {
            int[] numbers = Draw(random);
            if (IsHeldOut(numbers) == heldOut)
                return numbers;
        }
    }
}

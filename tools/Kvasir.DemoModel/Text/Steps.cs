namespace Kvasir.DemoModel.Text;

/// <summary>Writes one step of a calculation as the model learns it: short sums of easy products.</summary>
internal static class Steps
{
    /// <summary>"46 × 8 = 320 + 48 = 368"; without the sum where one digit decides.</summary>
    public static string Multiply(int a, int b)
    {
        var parts = new List<int>();
        for (int scale = 1000; scale >= 1; scale /= 10)
        {
            int digit = a / scale % 10;
            if (digit != 0)
                parts.Add(digit * scale * b);
        }
        string sum = parts.Count > 1 ? string.Join(" + ", parts) + " = " : "";
        return $"{a} × {b} = {sum}{a * b}";
    }

    /// <summary>"115 + 40 = 155, 155 + 1 = 156": hundreds, tens, ones, each a step of its own.</summary>
    public static string Add(int a, int b) => Walk(a, b, '+', 1);

    /// <summary>"158 - 50 = 108, 108 - 7 = 101".</summary>
    public static string Subtract(int a, int b) => Walk(a, b, '-', -1);

    /// <summary>By a power of two: "8 = 2 × 2 × 2. 416 / 2 = 208, 208 / 2 = 104, 104 / 2 = 52".</summary>
    public static string Divide(int a, int b)
    {
        if (b <= 2)
            return $"{a} / {b} = {a / b}";
        var halvings = new List<string>();
        for (int left = b; left > 1; left /= 2, a /= 2)
            halvings.Add($"{a} / 2 = {a / 2}");
        return $"{b} = {string.Join(" × ", halvings.Select(_ => "2"))}. {string.Join(", ", halvings)}";
    }

    private static string Walk(int a, int b, char sign, int direction)
    {
        var steps = new List<string>();
        for (int scale = 1000; scale >= 1; scale /= 10)
        {
            int part = b / scale % 10 * scale;
            if (part == 0)
                continue;
            int next = a + direction * part;
            steps.Add($"{a} {sign} {part} = {next}");
            a = next;
        }
        return string.Join(", ", steps);
    }
}

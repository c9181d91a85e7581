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

    public static string Divide(int a, int b) => $"{a} / {b} = {a / b}";
}

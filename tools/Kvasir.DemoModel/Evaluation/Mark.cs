using Kvasir.DemoModel.Text;

namespace Kvasir.DemoModel.Evaluation;

/// <summary>One answer, marked.</summary>
/// <param name="Exchange">The question and the answer that was expected.</param>
/// <param name="Answer">The answer that came.</param>
internal sealed record Mark(Exchange Exchange, string Answer)
{
    /// <summary>The whole answer is as expected.</summary>
    public bool IsExact => Answer == Exchange.Answer;

    /// <summary>The result is as expected: what comes after the last sign of equality names it. Wrong steps do not count.</summary>
    public bool IsRight
    {
        get
        {
            string result = Answer[(Answer.LastIndexOf('=') + 1)..];
            int at = result.IndexOf(Exchange.Final, StringComparison.Ordinal);
            // "160 GB" does not say "60 GB", and "12" does not say "1".
            return at >= 0 && (at == 0 || !IsNumeral(result[at - 1])) && (at + Exchange.Final.Length == result.Length || !char.IsDigit(result[at + Exchange.Final.Length]));
        }
    }

    private static bool IsNumeral(char c) => char.IsDigit(c) || c == '.';
}

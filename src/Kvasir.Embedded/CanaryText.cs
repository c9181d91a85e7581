using System.Collections.Immutable;
using Kvasir.Checkpoints.Tokenizers;
using Kvasir.Engine;

namespace Kvasir;

/// <summary>
/// The text with which keys and values below 16 bits are tried: names, numbers and a list that come again later, for what
/// a model reads back from its context is what coarse keys spoil first.
/// </summary>
public static class CanaryText
{
    /// <summary>Most tokens: beyond, a start would take long on a slow machine.</summary>
    private const int MostTokens = 384;

    private const string Text =
        """
        The harbour of Lindvik lies at the end of a long fjord. In 1874 the merchant Anna Holm built three warehouses there: a red
        one for grain, a white one for salt, and a black one for tar. Her brother Peter kept the books, and wrote down every
        barrel that came and went.

        On the first Monday of May the ship Aurora brought 120 barrels of salt from the south. Peter Holm counted them twice and
        put them into the white warehouse. A week later 45 barrels were sold to the fishermen, so that 75 barrels of salt were
        left. The grain in the red warehouse had not been touched, and of the tar in the black warehouse only a little was used,
        because the boats had been tarred the year before.

        "How much salt is left?" asked Anna Holm when she came back to Lindvik.

        "There are 75 barrels of salt left in the white warehouse," said Peter. "The Aurora brought 120 barrels, and we sold 45 of
        them to the fishermen."

        "And the grain?"

        "The grain is still in the red warehouse. Nobody has touched it."

        Anna Holm was content. She walked down to the harbour, past the white warehouse with the salt, the red warehouse with the
        grain and the black warehouse with the tar, and looked for the Aurora, which was to sail back to the south on the next
        Monday. The books of the Holm family can still be read in Lindvik. The first page names the three warehouses: the red one
        for grain, the white one for salt, and the black one for tar.
        """;

    /// <summary>The options with the text in the model's tokens, where they ask for it to be tried.</summary>
    public static EngineOptions Fill(EngineOptions options, Tokenizer tokenizer) =>
        options.KvFormat.LeastBits >= 16 || options.KvCanaryBound is null || !options.KvCanaryTokens.IsDefaultOrEmpty ? options
        : options with { KvCanaryTokens = [.. tokenizer.Encode(Text, addSpecial: true, parseSpecial: false).Take(MostTokens)] };
}

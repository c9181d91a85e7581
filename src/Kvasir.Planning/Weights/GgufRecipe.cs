namespace Kvasir.Planning.Weights;

/// <summary>Bits per weight of one GGUF type: bytes of a block and weights in it (memory model, §1.4).</summary>
/// <param name="Name">ggml's name.</param>
/// <param name="Id">ggml's number.</param>
/// <param name="Length">Weights per block.</param>
/// <param name="BlockBytes">Bytes per block.</param>
public sealed record GgufType(string Name, int Id, int Length, int BlockBytes)
{
    /// <summary>Every type that a file may hold, whether an engine here runs it or not.</summary>
    public static IReadOnlyList<GgufType> All { get; } =
    [
        new("F32", 0, 1, 4), new("F16", 1, 1, 2), new("Q4_0", 2, 32, 18), new("Q4_1", 3, 32, 20), new("Q5_0", 6, 32, 22), new("Q5_1", 7, 32, 24),
        new("Q8_0", 8, 32, 34), new("Q8_1", 9, 32, 36), new("Q2_K", 10, 256, 84), new("Q3_K", 11, 256, 110), new("Q4_K", 12, 256, 144),
        new("Q5_K", 13, 256, 176), new("Q6_K", 14, 256, 210), new("Q8_K", 15, 256, 292), new("IQ2_XXS", 16, 256, 66), new("IQ2_XS", 17, 256, 74),
        new("IQ3_XXS", 18, 256, 98), new("IQ1_S", 19, 256, 50), new("IQ4_NL", 20, 32, 18), new("IQ3_S", 21, 256, 110), new("IQ2_S", 22, 256, 82),
        new("IQ4_XS", 23, 256, 136), new("I8", 24, 1, 1), new("I16", 25, 1, 2), new("I32", 26, 1, 4), new("I64", 27, 1, 8), new("F64", 28, 1, 8),
        new("IQ1_M", 29, 256, 56), new("BF16", 30, 1, 2), new("TQ1_0", 34, 256, 54), new("TQ2_0", 35, 256, 66), new("MXFP4", 39, 32, 17),
        new("NVFP4", 40, 64, 36), new("Q1_0", 41, 128, 18), new("Q2_0", 42, 64, 18),
    ];

    /// <summary>The type of that name, or null.</summary>
    public static GgufType? Find(string name) => All.FirstOrDefault(type => type.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Bytes of so many weights, the last block filled up.</summary>
    public long Bytes(long weights) => WeightFormats.Ceiling(weights, Length) * BlockBytes;
}

/// <summary>Which type llama-quantize gives each tensor of a mixed recipe, for models without a header at hand.</summary>
/// <param name="Name">The recipe: "Q4_K_M", "Q8_0".</param>
/// <param name="Base">Type of most matrices.</param>
/// <param name="Better">Type of the more sensitive ones, or the base.</param>
/// <param name="Output">Type of the output projection.</param>
/// <param name="Rule">Which layers' value and down projections get the better type.</param>
public sealed record GgufRecipe(string Name, GgufType Base, GgufType Better, GgufType Output, GgufRule Rule)
{
    private static readonly GgufRecipe[] Known =
    [
        Plain("F32"), Plain("F16"), Plain("BF16"), Plain("Q8_0"), Mixed("Q4_0", "Q4_0", "Q4_0", GgufRule.None), Mixed("Q5_0", "Q5_0", "Q5_0", GgufRule.None),
        Mixed("Q2_K", "Q2_K", "Q3_K", GgufRule.All), Mixed("Q3_K_S", "Q3_K", "Q3_K", GgufRule.None), Mixed("Q3_K_M", "Q3_K", "Q4_K", GgufRule.All),
        Mixed("Q3_K_L", "Q3_K", "Q5_K", GgufRule.All), Mixed("Q4_K_S", "Q4_K", "Q5_K", GgufRule.FirstEighth), Mixed("Q4_K_M", "Q4_K", "Q6_K", GgufRule.Half),
        Mixed("Q5_K_S", "Q5_K", "Q5_K", GgufRule.None), Mixed("Q5_K_M", "Q5_K", "Q6_K", GgufRule.Half), Mixed("Q6_K", "Q6_K", "Q6_K", GgufRule.None),
        Mixed("IQ4_XS", "IQ4_XS", "Q5_K", GgufRule.FirstEighth), Mixed("IQ4_NL", "IQ4_NL", "Q5_K", GgufRule.FirstEighth),
        Mixed("IQ3_XXS", "IQ3_XXS", "IQ3_S", GgufRule.FirstEighth), Mixed("IQ2_XXS", "IQ2_XXS", "Q2_K", GgufRule.FirstEighth), Mixed("IQ1_S", "IQ1_S", "Q2_K", GgufRule.FirstEighth),
        Mixed("MXFP4", "Q8_0", "Q8_0", GgufRule.ExpertsMxfp4),
    ];

    /// <summary>The recipe of that name, or null.</summary>
    public static GgufRecipe? Find(string name) =>
        Known.FirstOrDefault(recipe => recipe.Name.Equals(name.Replace("_moe", "", StringComparison.OrdinalIgnoreCase), StringComparison.OrdinalIgnoreCase));

    /// <summary>Names of all recipes.</summary>
    public static IEnumerable<string> Names => Known.Select(recipe => recipe.Name);

    /// <summary>The type of a part in a model of <paramref name="layers"/> layers; vectors stay F32, as llama.cpp writes them.</summary>
    public GgufType TypeOf(WeightPart part, int layers)
    {
        if (!part.Matrix || part.Role is WeightRole.Small) return GgufType.Find("F32")!;
        if (part.Role is WeightRole.Output || Rule == GgufRule.Uniform) return part.Role is WeightRole.Output ? Output : Base;
        if (part.Role is WeightRole.Embedding) return Base;
        if (Rule == GgufRule.ExpertsMxfp4) return part.Role == WeightRole.Expert ? GgufType.Find("MXFP4")! : Base;
        var sensitive = part.Name is "attn_v" || part.Name.StartsWith("ffn_down", StringComparison.Ordinal);
        return sensitive && IsBetter(part.Layer, layers) ? Better : Base;
    }

    private bool IsBetter(int layer, int layers) => Rule switch
    {
        GgufRule.All => true,
        GgufRule.FirstEighth => layer < layers / 8,
        GgufRule.Half => layer < layers / 8 || layer >= 7 * layers / 8 || (layer - (layers / 8)) % 3 == 2,
        _ => false,
    };

    private static GgufRecipe Plain(string type) => new(type, GgufType.Find(type)!, GgufType.Find(type)!, GgufType.Find(type)!, GgufRule.Uniform);

    private static GgufRecipe Mixed(string name, string type, string better, GgufRule rule) =>
        new(name, GgufType.Find(type)!, GgufType.Find(better)!, GgufType.Find(rule == GgufRule.ExpertsMxfp4 ? "Q8_0" : "Q6_K")!, rule);
}

/// <summary>Which layers' sensitive matrices a recipe treats better.</summary>
public enum GgufRule
{
    /// <summary>One type for everything.</summary>
    Uniform,
    /// <summary>None but the output projection.</summary>
    None,
    /// <summary>Every layer.</summary>
    All,
    /// <summary>The first eighth.</summary>
    FirstEighth,
    /// <summary>First and last eighth and every third between.</summary>
    Half,
    /// <summary>Experts in MXFP4, the rest in Q8_0 (gpt-oss).</summary>
    ExpertsMxfp4,
}

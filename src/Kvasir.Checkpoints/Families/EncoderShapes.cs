using System.Text.Json;

namespace Kvasir.Checkpoints.Families;

/// <summary>Parameters of vision and audio towers, from <c>vision_config</c>, where no headers can be read.</summary>
internal static class EncoderShapes
{
    // Towers that take pictures of any size: 12.8 million pixels in patches of 14 × 14 (Qwen2-VL's preprocessor).
    private const int AnySizePatches = 65_536;

    /// <param name="spec">The language model.</param>
    /// <param name="config">The whole configuration.</param>
    public static ModelSpec AddTo(ModelSpec spec, JsonElement config)
    {
        if (!config.TryGetProperty("vision_config", out var vision) || vision.ValueKind != JsonValueKind.Object) return spec;
        long Value(string key, params string[] others)
        {
            foreach (var name in (string[])[key, .. others])
                if (vision.TryGetProperty(name, out var found) && found.TryGetInt64(out var number) && number is >= 0 and < 1_000_000) return number;
            return 0;
        }
        long hidden = Value("hidden_size", "embed_dim"), layers = Value("num_hidden_layers", "depth"), patch = Value("patch_size");
        if (hidden == 0 || layers == 0) return spec;
        var inner = Value("intermediate_size") is var given2 and > 0 ? given2 : 4 * hidden;
        var side = patch > 0 ? Value("image_size") / patch : 0;
        // A ViT block: four projections with biases, two layer norms, two matrices of the MLP with biases.
        var blocks = layers * ((4 * (hidden * hidden + hidden)) + (4 * hidden) + (2 * hidden * inner) + inner + hidden);
        var ends = (3 * patch * patch * hidden) + hidden + (side * side * hidden) + (2 * hidden);
        return spec with
        {
            EncoderParameters = blocks + ends + (hidden * spec.HiddenSize) + hidden,
            EncoderPatches = side > 0 ? (int)Math.Min(side * side, AnySizePatches) : AnySizePatches,
            EncoderWidth = (int)hidden,
        };
    }
}

using System.Text.Json;

namespace Kvasir.Checkpoints.Families;

/// <summary>Parameters of vision and audio towers, from <c>vision_config</c>, where no headers can be read.</summary>
internal static class EncoderShapes
{
    /// <param name="config">The whole configuration.</param>
    /// <param name="text">Width of the language model, which the projector ends in.</param>
    public static long Count(JsonElement config, int text)
    {
        if (!config.TryGetProperty("vision_config", out var vision) || vision.ValueKind != JsonValueKind.Object) return 0;
        long Value(string key, params string[] others)
        {
            foreach (var name in (string[])[key, .. others])
                if (vision.TryGetProperty(name, out var found) && found.TryGetInt64(out var number) && number is >= 0 and < 1_000_000) return number;
            return 0;
        }
        long hidden = Value("hidden_size", "embed_dim"), layers = Value("num_hidden_layers", "depth"), patch = Value("patch_size");
        if (hidden == 0 || layers == 0) return 0;
        var inner = Value("intermediate_size") is var given2 and > 0 ? given2 : 4 * hidden;
        var side = patch > 0 ? Value("image_size") / patch : 0;
        // A ViT block: four projections with biases, two layer norms, two matrices of the MLP with biases.
        var blocks = layers * ((4 * (hidden * hidden + hidden)) + (4 * hidden) + (2 * hidden * inner) + inner + hidden);
        var ends = (3 * patch * patch * hidden) + hidden + (side * side * hidden) + (2 * hidden);
        return blocks + ends + (hidden * text) + hidden;
    }
}

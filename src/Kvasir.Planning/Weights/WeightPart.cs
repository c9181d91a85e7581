namespace Kvasir.Planning.Weights;

/// <summary>How tensor parallelism treats a matrix (memory model, §1.5).</summary>
public enum Sharding
{
    /// <summary>Every rank holds all of it: norms, routers, MLA's down-projections.</summary>
    Replicated,
    /// <summary>Outputs are divided: query, gate, up, in-projections.</summary>
    Output,
    /// <summary>Inputs are divided: attention output, down.</summary>
    Input,
    /// <summary>Key/value heads are divided; with more ranks than heads they are repeated.</summary>
    KeyValueHeads,
    /// <summary>Rows are padded to a multiple of 64 and divided: embedding and output.</summary>
    Vocabulary,
    /// <summary>Routed experts: inner width divided, or whole experts placed under expert parallelism.</summary>
    Experts,
    /// <summary>Towers of other modalities, of which a fixed share is repeated on every rank.</summary>
    Encoder,
}

/// <summary>What a part does, which decides whether a quantization reaches it.</summary>
public enum WeightRole
{
    /// <summary>Projections of attention.</summary>
    Attention,
    /// <summary>Projections of a dense network or shared experts.</summary>
    FeedForward,
    /// <summary>Routed experts.</summary>
    Expert,
    /// <summary>State-space and linear-attention layers' projections.</summary>
    Recurrent,
    /// <summary>Norms, biases, convolutions, routers: never quantized.</summary>
    Small,
    /// <summary>Token embedding.</summary>
    Embedding,
    /// <summary>Output projection.</summary>
    Output,
    /// <summary>Vision and audio towers.</summary>
    Encoder,
}

/// <summary>Some equal matrices (or vectors) of a model.</summary>
/// <param name="Layer">The layer, −1 before the first (embedding), −2 after the last (final norm, output).</param>
/// <param name="Name">GGUF's name of the tensor without its layer: "attn_q", "ffn_down_exps".</param>
/// <param name="Role">What the part does.</param>
/// <param name="Sharding">How it is divided.</param>
/// <param name="Inputs">Columns.</param>
/// <param name="Outputs">Rows.</param>
/// <param name="Count">How many of them (experts).</param>
/// <param name="Matrix">A matrix, which quantization may reach, or a vector or table that stays as it is.</param>
public sealed record WeightPart(int Layer, string Name, WeightRole Role, Sharding Sharding, long Inputs, long Outputs, long Count = 1, bool Matrix = true)
{
    /// <summary>Parameters in all copies.</summary>
    public long Parameters => Inputs * Outputs * Count;
}

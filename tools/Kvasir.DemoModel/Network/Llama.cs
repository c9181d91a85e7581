using TorchSharp;
using static TorchSharp.torch;

namespace Kvasir.DemoModel.Network;

/// <summary>
/// The network for training: weights in F32, matrix products in BF16, sums along the layers in F32.
/// RoPE turns the two halves of a head against each other, as Hugging Face's layout has it.
/// </summary>
internal sealed class Llama
{
    private readonly Tensor _cos, _sin;

    public Llama(int seed)
    {
        using Generator generator = new((ulong)seed);
        Embedding = Random(generator, 0.02, Shape.Vocabulary, Shape.Hidden);
        Norm = Ones();
        for (int i = 0; i < Shape.Layers; i++)
            Blocks.Add(new(generator));
        (_cos, _sin) = Rotations();
    }

    public Tensor Embedding { get; }

    public Tensor Norm { get; }

    public List<Block> Blocks { get; } = [];

    /// <summary>Every trained tensor by a name of its own, always in the same order.</summary>
    public IEnumerable<(string Name, Tensor Value)> Parameters()
    {
        yield return ("embedding", Embedding);
        yield return ("norm", Norm);
        for (int i = 0; i < Blocks.Count; i++)
        {
            foreach ((string name, Tensor value) in Blocks[i].Parameters())
                yield return ($"{i}.{name}", value);
        }
    }

    /// <summary>Mean cross entropy at the positions that count.</summary>
    /// <param name="ids">[sequences, length], padded on the right.</param>
    /// <param name="positions">Flat positions whose next token is learned.</param>
    /// <param name="targets">Those next tokens.</param>
    public Tensor Loss(Tensor ids, Tensor positions, Tensor targets)
    {
        long length = ids.shape[1];
        Tensor x = Embedding.index_select(0, ids.flatten()).view(-1, length, Shape.Hidden);
        (Tensor cos, Tensor sin) = (_cos[TensorIndex.Slice(0, length)], _sin[TensorIndex.Slice(0, length)]);
        foreach (Block block in Blocks)
            x = block.Forward(x, cos, sin);
        Tensor chosen = Block.Normalize(x.reshape(-1, Shape.Hidden).index_select(0, positions), Norm);
        Tensor logits = nn.functional.linear(chosen, Embedding.bfloat16()).to_type(ScalarType.Float32);
        return nn.functional.cross_entropy(logits, targets);
    }

    internal static Tensor Random(Generator generator, double deviation, params long[] shape) =>
        (randn(shape, generator: generator) * deviation).requires_grad_();

    internal static Tensor Ones() => ones(Shape.Hidden).requires_grad_();

    private static (Tensor, Tensor) Rotations()
    {
        Tensor frequencies = pow(Shape.RopeBase, arange(0, Shape.HeadSize, 2, ScalarType.Float32) / -Shape.HeadSize);
        Tensor angles = outer(arange(Shape.Context, ScalarType.Float32), frequencies);
        return (angles.cos().bfloat16(), angles.sin().bfloat16());
    }
}

using TorchSharp;
using static TorchSharp.torch;

namespace Kvasir.DemoModel.Network;

/// <summary>One decoder layer. Projections that read the same input are one matrix.</summary>
internal sealed class Block(Generator generator)
{
    private readonly Tensor _attentionNorm = Llama.Ones();
    private readonly Tensor _feedForwardNorm = Llama.Ones();
    private readonly Tensor _queryKeyValue = Llama.Random(generator, 0.04, Shape.QueryWidth + 2 * Shape.KvWidth, Shape.Hidden);
    private readonly Tensor _output = zeros(Shape.Hidden, Shape.QueryWidth).requires_grad_();
    private readonly Tensor _gateUp = Llama.Random(generator, 0.04, 2 * Shape.FeedForward, Shape.Hidden);
    private readonly Tensor _down = zeros(Shape.Hidden, Shape.FeedForward).requires_grad_();

    public IEnumerable<(string Name, Tensor Value)> Parameters() =>
    [
        ("attention_norm", _attentionNorm), ("feed_forward_norm", _feedForwardNorm), ("query_key_value", _queryKeyValue),
        ("output", _output), ("gate_up", _gateUp), ("down", _down),
    ];

    /// <summary>[sequences, length, hidden] to the same.</summary>
    public Tensor Forward(Tensor x, Tensor cos, Tensor sin)
    {
        x = x + nn.functional.linear(Attend(Normalize(x, _attentionNorm), cos, sin), _output.bfloat16());
        Tensor[] gateUp = nn.functional.linear(Normalize(x, _feedForwardNorm), _gateUp.bfloat16()).chunk(2, -1);
        return x + nn.functional.linear(nn.functional.silu(gateUp[0]) * gateUp[1], _down.bfloat16());
    }

    /// <summary>RMS norm in F32, handed on as BF16.</summary>
    public static Tensor Normalize(Tensor x, Tensor weight) =>
        (x * (x.square().mean([-1], keepdim: true) + Shape.Epsilon).rsqrt() * weight).bfloat16();

    private Tensor Attend(Tensor x, Tensor cos, Tensor sin)
    {
        long sequences = x.shape[0], length = x.shape[1];
        Tensor all = nn.functional.linear(x, _queryKeyValue.bfloat16()).view(sequences, length, -1, Shape.HeadSize).transpose(1, 2);
        Tensor turned = Rotate(all.narrow(1, 0, Shape.Heads + Shape.KvHeads), cos, sin);
        Tensor query = turned.narrow(1, 0, Shape.Heads);
        Tensor key = turned.narrow(1, Shape.Heads, Shape.KvHeads).repeat_interleave(Shape.Heads / Shape.KvHeads, 1);
        Tensor value = all.narrow(1, Shape.Heads + Shape.KvHeads, Shape.KvHeads).repeat_interleave(Shape.Heads / Shape.KvHeads, 1);
        Tensor mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_casual: true);
        return mixed.transpose(1, 2).reshape(sequences, length, Shape.QueryWidth);
    }

    private static Tensor Rotate(Tensor x, Tensor cos, Tensor sin)
    {
        Tensor[] halves = x.chunk(2, -1);
        return cat([halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin], -1);
    }
}

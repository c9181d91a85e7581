using TorchSharp;
using static TorchSharp.torch;

namespace Kvasir.DemoModel.Training;

/// <summary>
/// Steps for matrices along the nearest orthogonal matrix of their momentum (Muon, Jordan et al. 2024: five Newton-Schulz
/// iterations), and AdamW for the embedding and the norms.
/// </summary>
internal sealed class Muon(IReadOnlyList<(string Name, Tensor Value)> parameters)
{
    private const double Momentum = 0.95, Beta1 = 0.9, Beta2 = 0.95, WeightDecay = 0.05;

    private readonly Tensor[] _first = [.. parameters.Select(parameter => zeros_like(parameter.Value))];
    private readonly Tensor[] _second = [.. parameters.Select(parameter => zeros_like(parameter.Value))];

    /// <summary>What a checkpoint keeps beside the weights.</summary>
    public IEnumerable<(string Name, Tensor Value)> State() =>
        parameters.Select((parameter, i) => (parameter.Name + "/first", _first[i]))
            .Concat(parameters.Select((parameter, i) => (parameter.Name + "/second", _second[i])));

    /// <summary>One step; gradients are cleared.</summary>
    /// <param name="step">Number of the step, from 1.</param>
    /// <param name="matrixRate">Learning rate of the matrices.</param>
    /// <param name="otherRate">Learning rate of the embedding and the norms.</param>
    public void Step(int step, double matrixRate, double otherRate)
    {
        using IDisposable frozen = no_grad();
        for (int i = 0; i < parameters.Count; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            (string name, Tensor weight) = parameters[i];
            Tensor gradient = weight.grad!;
            if (weight.dim() == 2 && name != "embedding")
                StepMatrix(weight, gradient, _first[i], matrixRate);
            else
                StepAdam(weight, gradient, _first[i], _second[i], step, otherRate);
            gradient.zero_();
        }
    }

    private static void StepMatrix(Tensor weight, Tensor gradient, Tensor momentum, double rate)
    {
        momentum.mul_(Momentum).add_(gradient);
        Tensor direction = Orthogonalize(gradient + momentum * Momentum);
        double scale = Math.Sqrt(Math.Max(1.0, (double)weight.shape[0] / weight.shape[1]));
        weight.mul_(1 - rate * WeightDecay).sub_(direction * (rate * scale));
    }

    private static void StepAdam(Tensor weight, Tensor gradient, Tensor first, Tensor second, int step, double rate)
    {
        first.mul_(Beta1).add_(gradient * (1 - Beta1));
        second.mul_(Beta2).add_(gradient.square() * (1 - Beta2));
        Tensor mean = first / (1 - Math.Pow(Beta1, step));
        Tensor deviation = (second / (1 - Math.Pow(Beta2, step))).sqrt() + 1e-10;
        weight.sub_(mean / deviation * rate);
    }

    private static Tensor Orthogonalize(Tensor gradient)
    {
        bool tall = gradient.shape[0] > gradient.shape[1];
        Tensor x = (tall ? gradient.t() : gradient);
        x = (x / (x.norm() + 1e-7)).bfloat16();
        for (int i = 0; i < 5; i++)
        {
            Tensor a = x.matmul(x.t());
            Tensor b = a * -4.7750 + a.matmul(a) * 2.0315;
            x = x * 3.4445 + b.matmul(x);
        }
        return (tall ? x.t() : x).to_type(ScalarType.Float32);
    }
}

using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;
torch.set_num_threads(int.Parse(args[0]));
void Bench(string name, ScalarType t, int m, int k, int n)
{
    using var s = NewDisposeScope();
    var a = torch.randn(m, k).to(t); var w = torch.randn(n, k).to(t);
    for (int i = 0; i < 3; i++) torch.nn.functional.linear(a, w).Dispose();
    var sw = Stopwatch.StartNew();
    for (int i = 0; i < 20; i++) torch.nn.functional.linear(a, w).Dispose();
    Console.WriteLine($"{name} {t} {m}x{k}x{n}: {2.0 * m * k * n * 20 / sw.Elapsed.TotalSeconds / 1e9:F1} GFLOP/s");
    var g = torch.randn(m, n).to(t);
    sw.Restart();
    for (int i = 0; i < 20; i++) torch.matmul(g.t(), a).Dispose();
    Console.WriteLine($"   dW: {2.0 * m * k * n * 20 / sw.Elapsed.TotalSeconds / 1e9:F1} GFLOP/s");
}
foreach (var t in new[] { ScalarType.Float32, ScalarType.BFloat16 })
{
    Bench("gateup", t, 4096, 256, 1024);
    Bench("qkv", t, 4096, 256, 384);
    Bench("down", t, 4096, 512, 256);
}

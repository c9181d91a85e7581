using Kvasir.Benchmarks;

switch (args)
{
    case ["kernels", .. var rest]: return KernelBenchmark.Run(rest);
    default:
        Console.Error.WriteLine("usage: kernels [THREADS] [FORMAT …]   GB/s of decoding and GOP/s of prefill, per weight format");
        return 1;
}

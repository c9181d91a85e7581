using Kvasir.Benchmarks;

switch (args)
{
    case ["kernels", .. var rest]: return KernelBenchmark.Run(rest);
    case ["attention", .. var rest]: return AttentionBenchmark.Run(rest);
    case ["tokenizer", "--vocabulary", var vocabulary, "--file", var file]: return TokenizerBenchmark.Run(vocabulary, file);
    default:
        Console.Error.WriteLine("usage: kernels [THREADS] [FORMAT …]            GB/s of decoding and GOP/s of prefill, per weight format");
        Console.Error.WriteLine("       attention [THREADS] [KV-FORMAT …]       GFLOP/s of prefill and GB/s of decoding over a long context");
        Console.Error.WriteLine("       tokenizer --vocabulary F --file TEXT    MB/s of encoding on one core; F is a GGUF file or a Hugging Face directory");
        return 1;
}

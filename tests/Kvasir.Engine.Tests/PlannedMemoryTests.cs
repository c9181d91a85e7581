using Kvasir.Checkpoints;
using Kvasir.Kernels;
using Kvasir.Planning.Engines;
using Kvasir.Planning.KvCache;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests;

/// <summary>The planner's rules of this engine, which know nothing of it, against what the engine reserves.</summary>
public sealed class PlannedMemoryTests
{
    public static TheoryData<SyntheticFamily, TensorType, string> Models()
    {
        var models = new TheoryData<SyntheticFamily, TensorType, string>();
        foreach (var family in Enum.GetValues<SyntheticFamily>()) models.Add(family, TensorType.BF16, "f16");
        foreach (var type in Enum.GetValues<TensorType>()) models.Add(SyntheticFamily.Llama, type, "f16");
        foreach (var kv in (string[])["f32", "bf16", "fp8", "q8_0", "q4_0", "k=q8_0,v=q4_0", "k=f16,v=q8_0", "k=fp8,v=f32"])
        {
            models.Add(SyntheticFamily.Gemma3, TensorType.BF16, kv);
            models.Add(SyntheticFamily.Phi3, TensorType.BF16, kv);
        }
        return models;
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void The_planner_knows_every_byte_that_the_engine_reserves(SyntheticFamily family, TensorType type, string kv)
    {
        var path = Path.Combine(Path.GetTempPath(), $"kvasir-plan-{family}-{type}-{kv}-{Environment.ProcessId}.gguf");
        try
        {
            SyntheticCheckpoint.Write(path, family, type);
            using var checkpoint = Checkpoint.Open(path);
            const long Memory = 4L << 30;
            Assert.True(KvFormats.TryParse(kv, out var formats));
            var (keys, values) = (KvType.Parse(kv.Contains('=') ? kv[2..kv.IndexOf(',')] : kv)!, kv.Contains('=') ? KvType.Parse(kv[(kv.LastIndexOf('=') + 1)..]) : null);
            var options = new EngineOptions { KvFormat = formats, ContextTokens = 1024, MaxSequences = 5, ChunkTokens = 96, MixedChunkTokens = 96 };
            var reserved = EngineMemoryPlan.For(checkpoint.Spec, checkpoint.Tensors, options, Memory);
            var planned = new KvasirRules().Estimate(checkpoint.Spec, new Device("CPU", Memory + (200L << 20)) { ContextBytes = 0 }, new ServingOptions
            {
                Context = 1024, MaxSequences = 5, MaxBatchedTokens = 96, Utilization = 1, KvType = keys, ValueKvType = values, Matrices = StoredMatrix.Of(checkpoint.Tensors),
            });
            long Line(string name) => reserved.Lines.Where(line => line.Name == name).Sum(line => line.Bytes);
            Assert.Equal(Line(EngineMemoryPlan.WeightsLine), planned.Weights.Likely);
            Assert.Equal(Line(EngineMemoryPlan.ActivationsLine), planned.Activations.Likely);
            Assert.Equal(Line(EngineMemoryPlan.SamplerLine) + Line(EngineMemoryPlan.IndexLine), planned.Overhead.Likely);
            Assert.Equal(Line(EngineMemoryPlan.KvLine), planned.Pool);
            Assert.Equal(reserved.KvBytesPerToken, planned.Layout.BytesPerToken);
            Assert.Equal(reserved.TotalBytes, planned.Budget);
        }
        finally
        {
            File.Delete(path);
        }
    }
}

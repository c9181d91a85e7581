using Kvasir.Engine.Tests.Serving;
using Kvasir.Kernels;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests.KvCache;

/// <summary>Keys and values in every type, where the cache shares, copies and stores them.</summary>
public sealed class KvTypeTests
{
    public static TheoryData<string> Types() => ["f32", "f16", "bf16", "q8_0", "q4_0", "fp8", "k=q8_0,v=q4_0", "k=f16,v=fp8", "k=q4_0,v=f32"];

    [Theory, MemberData(nameof(Types))]
    public async Task A_block_that_agrees_in_part_is_continued(string type)
    {
        Assert.True(KvFormats.TryParse(type, out var format));
        Assert.Equal(type, format.ToString());
        foreach (var family in (SyntheticFamily[])[SyntheticFamily.Llama, SyntheticFamily.Gemma3])
        {
            await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvFormat = format }, family);
            await using var fresh = new SteppedEngine(SteppedEngine.Roomy with { KvFormat = format, PrefixCache = false }, family);
            var first = SteppedEngine.Ask(60, 4);
            engine.Submit(first);
            engine.Finish();
            // Agrees for 3 blocks and 7 tokens.
            var second = first with { Prompt = [.. first.Prompt.Take(55), .. Enumerable.Range(200, 30)], MaxTokens = 24 };
            var (shared, alone) = (engine.Submit(second), fresh.Submit(second));
            engine.Finish();
            fresh.Finish();
            Assert.Equal(55, shared.Stream.Usage.CachedTokens);
            Assert.Equal(alone.Tokens, shared.Tokens);
        }
    }

    [Fact]
    public async Task A_disk_tier_that_was_written_in_another_type_is_not_read()
    {
        var folder = Directory.CreateTempSubdirectory("kvasir-kv-types-");
        try
        {
            var found = new List<(string, bool)>();
            foreach (var type in (string[])["q8_0", "k=q8_0,v=q4_0", "k=q4_0,v=q8_0", "q8_0"])
            {
                Assert.True(KvFormats.TryParse(type, out var format));
                await using var engine = new SteppedEngine(SteppedEngine.Roomy with { KvFormat = format, KvDisk = new KvDiskOptions(folder.FullName, 8 << 20) });
                var reply = engine.Submit(SteppedEngine.Ask(80, 4));
                engine.Finish();
                found.Add((type, reply.Stream.Usage.CachedTokens > 0));
            }
            // The last one finds what the first one left.
            Assert.Equal([("q8_0", false), ("k=q8_0,v=q4_0", false), ("k=q4_0,v=q8_0", false), ("q8_0", true)], found);
            Assert.Equal(3, folder.GetDirectories().Length);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}

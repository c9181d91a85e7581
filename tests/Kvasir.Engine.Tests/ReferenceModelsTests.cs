using Kvasir.Checkpoints;
using Kvasir.Engine.Sampling;
using Kvasir.Synthesis;

namespace Kvasir.Engine.Tests;

/// <summary>The whole engine on every family, scaling and type, in both file formats, held against llama.cpp (Fixtures/README.md).</summary>
public sealed class ReferenceModelsTests
{
    private static readonly string Fixtures = Path.Combine(AppContext.BaseDirectory, "Fixtures");

    public static IEnumerable<TheoryDataRow<string>> Floats() => Names(model => IsFloat(model.Type));
    public static IEnumerable<TheoryDataRow<string>> Quantized() => Names(model => !IsFloat(model.Type));
    public static IEnumerable<TheoryDataRow<string>> Continued() => Fixture.All().Where(pair => pair.Value.Continuation is not null).Select(pair => new TheoryDataRow<string>(pair.Key));

    [Theory]
    [MemberData(nameof(Floats))]
    public async Task Probabilities_of_float_models_are_llama_cpps_in_both_formats(string name)
    {
        var fixture = Fixture.Read(Path.Combine(Fixtures, name + ".json"));
        // llama.cpp looks Gemma's GELU up in a table of F16; kernels of BF16 may round activations to BF16.
        var tolerance = fixture.Model.IsGemma || fixture.Model.Type == TensorType.BF16 ? 1e-2 : 1e-3;
        foreach (var format in (string[])["model.gguf", "model"]) await CompareAsync(fixture, format, tolerance);
    }

    [Theory]
    [MemberData(nameof(Quantized))]
    public Task Probabilities_of_quantized_models_are_llama_cpps_but_for_rounded_activations(string name) =>
        CompareAsync(Fixture.Read(Path.Combine(Fixtures, name + ".json")), "model.gguf", 0.12);

    [Theory]
    [MemberData(nameof(Continued))]
    public async Task Long_prompts_continue_as_in_llama_cpp_in_both_formats_whole_or_in_chunks(string name)
    {
        var fixture = Fixture.Read(Path.Combine(Fixtures, name + ".json"));
        foreach (var format in (string[])["model.gguf", "model"])
        {
            using var model = new Written(fixture.Model, format);
            foreach (var chunk in (int[])[512, 48])
            {
                await using var engine = LlmEngine.Create(model.Checkpoint, Options(fixture) with { ChunkTokens = chunk, MixedChunkTokens = 16 });
                var tokens = await GenerateAsync(engine, fixture.Tokens, fixture.Continuation!.Length);
                Assert.Equal(fixture.Continuation, tokens.Select(token => token.Token));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Continued))]
    public async Task Requests_that_run_together_continue_as_each_alone(string name)
    {
        var fixture = Fixture.Read(Path.Combine(Fixtures, name + ".json"));
        using var model = new Written(fixture.Model, "model.gguf");
        await using var engine = LlmEngine.Create(model.Checkpoint, Options(fixture));
        // Three prompts of unlike lengths: the fixture's, and the fixture's continued by its first tokens.
        var continuation = fixture.Continuation!;
        var generations = new[] { 0, 5, 11 }.Select(known => GenerateAsync(engine, [.. fixture.Tokens, .. continuation[..known]], continuation.Length - known)).ToArray();
        await Task.WhenAll(generations);
        foreach (var (known, generation) in new[] { 0, 5, 11 }.Zip(generations)) Assert.Equal(continuation[known..], (await generation).Select(token => token.Token));
    }

    [Theory]
    [InlineData(TensorType.F32)]
    [InlineData(TensorType.F16)]
    [InlineData(TensorType.BF16)]
    public async Task Both_formats_and_sharded_directories_give_the_same_tokens_in_every_family(TensorType type)
    {
        foreach (var family in Enum.GetValues<SyntheticFamily>())
        {
            var synthetic = SyntheticModel.Tiny(family, type, seed: 5);
            var prompt = Fixture.All()["long-llama"].Tokens;
            var texts = new List<int[]>();
            foreach (var format in (string[])["model.gguf", "model", "shards"])
            {
                using var model = new Written(synthetic, format);
                await using var engine = LlmEngine.Create(model.Checkpoint, new EngineOptions { ContextTokens = 512, KvTokens = 1024, MaxSequences = 2, MemoryBytes = 1L << 30, Threads = 1 });
                texts.Add([.. (await GenerateAsync(engine, prompt, 32)).Select(token => token.Token)]);
            }
            Assert.True(texts[0].SequenceEqual(texts[1]) && texts[0].SequenceEqual(texts[2]), $"{family} {type}: the formats differ");
        }
    }

    private static async Task CompareAsync(Fixture fixture, string format, double tolerance)
    {
        using var model = new Written(fixture.Model, format);
        await using var engine = LlmEngine.Create(model.Checkpoint, Options(fixture));
        foreach (var (position, logits) in fixture.Positions.Zip(fixture.Logits))
        {
            var token = Assert.Single(await GenerateAsync(engine, fixture.Tokens[..(position + 1)], 1));
            var logSum = Math.Log(logits.Sum(logit => Math.Exp(logit)));
            Assert.Equal(20, token.Top.Length);
            foreach (var (id, value) in token.Top)
                Assert.True(Math.Abs(value - (logits[id] - logSum)) < tolerance, $"{format}, position {position}: ln p of token {id} is {value}, llama.cpp's {logits[id] - logSum}");
            Assert.True(logits.Max() - logits[token.Token] < 2 * tolerance, $"{format}, position {position}: {token.Token} is not llama.cpp's likeliest token");
        }
    }

    private static EngineOptions Options(Fixture fixture) => new()
    {
        ContextTokens = fixture.Context, KvTokens = 2048, MaxSequences = 4, MemoryBytes = 1L << 30, Threads = 1, KvFormat = Kernels.KvFormat.F32,
    };

    private static async Task<List<GeneratedToken>> GenerateAsync(LlmEngine engine, int[] prompt, int count)
    {
        await using var stream = engine.Submit(new GenerationRequest { Prompt = [.. prompt], MaxTokens = count, Sampling = SamplingOptions.Greedy, LogProbabilities = true, TopLogProbabilities = 20 });
        var tokens = new List<GeneratedToken>();
        await foreach (var token in stream) tokens.Add(token);
        return tokens;
    }

    private static IEnumerable<TheoryDataRow<string>> Names(Func<SyntheticModel, bool> wanted) =>
        Fixture.All().Where(pair => wanted(pair.Value.Model)).Select(pair => new TheoryDataRow<string>(pair.Key));

    private static bool IsFloat(TensorType type) => type is TensorType.F32 or TensorType.F16 or TensorType.BF16;

    /// <summary>A random model on disk, gone after the test.</summary>
    private sealed class Written : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("kvasir-test-");

        public Written(SyntheticModel model, string format)
        {
            var path = Path.Combine(_folder.FullName, format);
            if (format == "shards") SyntheticCheckpoint.WriteHuggingFace(path, model, 3);
            else SyntheticCheckpoint.Write(path, model);
            Checkpoint = Checkpoint.Open(path);
        }

        public Checkpoint Checkpoint { get; }

        public void Dispose()
        {
            Checkpoint.Dispose();
            _folder.Delete(recursive: true);
        }
    }
}

using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests;

/// <summary>What the spec and the tensors of either format mean, held against logits that llama.cpp computed.</summary>
public sealed class ReferenceLogitsTests
{
    private static readonly string Fixtures = Path.Combine(AppContext.BaseDirectory, "Fixtures");

    public static IEnumerable<TheoryDataRow<string>> FloatFixtures() =>
        // Long prompts take the reference minutes; they are the engine's.
        Fixture.All().Where(pair => pair.Value.Continuation is null && pair.Value.Model.Type is TensorType.F32 or TensorType.F16 or TensorType.BF16).Select(pair => new TheoryDataRow<string>(pair.Key));

    [Theory]
    [MemberData(nameof(FloatFixtures))]
    public void Gguf_gives_the_logits_of_llama_cpp(string name) => Compare(name, "model.gguf");

    [Theory]
    [MemberData(nameof(FloatFixtures))]
    public void Safetensors_of_the_same_model_give_the_same_logits(string name) => Compare(name, "model");

    private static void Compare(string name, string file)
    {
        using var folder = new TemporaryFolder();
        var fixture = Fixture.Read(Path.Combine(Fixtures, name + ".json"));
        SyntheticCheckpoint.Write(folder.File(file), fixture.Model);
        using var checkpoint = Checkpoint.Open(folder.File(file));
        var logits = new ReferenceDecoder(checkpoint, fixture.Context).Run(fixture.Tokens);
        for (var i = 0; i < fixture.Positions.Length; i++)
        {
            var worst = logits[fixture.Positions[i]].Zip(fixture.Logits[i], (mine, theirs) => Math.Abs(mine - theirs)).Max();
            // llama.cpp computes in F32, and looks GELU up in a table of F16.
            var tolerance = fixture.Model.IsGemma ? 3e-3 : 5e-5;
            Assert.True(worst < tolerance, $"{name}, position {fixture.Positions[i]}: a logit differs by {worst:g3}");
        }
    }
}

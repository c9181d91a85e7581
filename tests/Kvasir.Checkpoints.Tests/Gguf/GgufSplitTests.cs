using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests.Gguf;

public sealed class GgufSplitTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly SyntheticModel _model = SyntheticModel.Tiny(SyntheticFamily.Llama, TensorType.Q8_0);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_split_set_is_the_same_model_as_one_file()
    {
        var first = SyntheticCheckpoint.WriteGgufSplit(_folder.File("model"), _model, 3);
        SyntheticCheckpoint.WriteGguf(_folder.File("whole.gguf"), _model);
        using var split = Checkpoint.Open(first);
        using var whole = Checkpoint.Open(_folder.File("whole.gguf"));
        Assert.Equal(whole.AllTensors.Count, split.AllTensors.Count);
        Assert.Equal(3, split.AllTensors.Select(tensor => tensor.File).Distinct().Count());
        for (var i = 0; i < whole.AllTensors.Count; i++)
        {
            var (a, b) = (new TensorView(whole.AllTensors[i]), new TensorView(split.AllTensors[i]));
            Assert.True(whole.Bytes(a, 0, (int)a.Rows).SequenceEqual(split.Bytes(b, 0, (int)b.Rows)), a.Tensor.Name);
        }
    }

    [Fact]
    public void A_missing_part_and_a_later_part_are_refused_with_the_remedy()
    {
        var first = SyntheticCheckpoint.WriteGgufSplit(_folder.File("model"), _model, 2);
        var second = _folder.File("model-00002-of-00002.gguf");
        Assert.Contains(first, Assert.Throws<CheckpointException>(() => Checkpoint.Open(second)).Message, StringComparison.Ordinal);
        File.Delete(second);
        Assert.Contains("00002-of-00002.gguf does not exist", Assert.Throws<CheckpointException>(() => Checkpoint.Open(first)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_part_of_another_set_is_refused()
    {
        var first = SyntheticCheckpoint.WriteGgufSplit(_folder.File("model"), _model, 2);
        File.Copy(first, _folder.File("model-00002-of-00002.gguf"), overwrite: true);
        Assert.Contains("belongs to another set", Assert.Throws<CheckpointException>(() => Checkpoint.Open(first)).Message, StringComparison.Ordinal);
    }
}

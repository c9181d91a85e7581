using Kvasir.Checkpoints.Remote;

namespace Kvasir.Checkpoints.Tests.Remote;

public sealed class HubModelTests
{
    [Theory]
    [InlineData("hf:org/name", "org/name", "main", null)]
    [InlineData("hf:org/name@v1.0", "org/name", "v1.0", null)]
    [InlineData("hf:org/name/file.gguf", "org/name", "main", "file.gguf")]
    [InlineData("hf:org/na.me-1_2/q4/File-00001-of-00002.GGUF@abc", "org/na.me-1_2", "abc", "q4/File-00001-of-00002.GGUF")]
    public void Names_are_read_and_written_alike(string text, string repository, string revision, string? file)
    {
        var model = HubModel.Parse(text);
        Assert.Equal((repository, revision, file), (model.Repository, model.Revision, model.File));
        Assert.Equal(text, model.ToString());
    }

    [Theory]
    [InlineData("hf:")]
    [InlineData("hf:name")]
    [InlineData("hf:/name")]
    [InlineData("hf:org/")]
    [InlineData("hf:../name")]
    [InlineData("hf:org/..")]
    [InlineData("hf:org/name/../x.gguf")]
    [InlineData("hf:org/name//x.gguf")]
    [InlineData("hf:org/name/x.bin")]
    [InlineData("hf:org/name@..")]
    [InlineData("hf:org/name@")]
    [InlineData("hf:org/na\\me")]
    [InlineData("hf:org/na?me")]
    public void What_names_no_model_or_leads_elsewhere_is_refused(string text) =>
        Assert.Contains("hf:org/name", Assert.Throws<CheckpointException>(() => HubModel.Parse(text)).Message, StringComparison.Ordinal);
}

using System.Text;
using Kvasir.Checkpoints.Safetensors;

namespace Kvasir.Checkpoints.Tests.Safetensors;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Tensors_of_float_types_are_read_and_others_are_noted()
    {
        using var file = Open("""{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"i":{"dtype":"I64","shape":[],"data_offsets":[24,32]},"e":{"dtype":"F16","shape":[0,4],"data_offsets":[32,32]}}""", 32);
        var tensor = Assert.Single(file.Tensors);
        Assert.Equal(("a", 2L, 3L, file.DataStart), (tensor.Name, tensor.Rows, tensor.Columns, tensor.Offset));
        Assert.Equal("I64", file.OtherTypes["i"]);
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "overlap or leave a hole")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "overlap or leave a hole")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 8, "tensors end at 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 4, "truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "takes 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,4]}}""", 4, "does not fit")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "does not fit")]
    [InlineData("""{"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}}""", 4, "unknown type \"Q9\"")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "twice")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1]}}""", 4, "lacks dtype, shape or data_offsets")]
    [InlineData("""[1]""", 0, "damaged")]
    [InlineData("""{"a":{"dtype":"F32" """, 0, "damaged")]
    public void Headers_that_lie_are_refused(string header, int data, string expected) =>
        Assert.Contains(expected, Assert.Throws<CheckpointException>(() => Open(header, data)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(1UL << 40)]
    [InlineData(1000UL)]
    public void A_header_longer_than_the_file_is_refused(ulong length)
    {
        File.WriteAllBytes(_folder.File("x"), [.. BitConverter.GetBytes(length), .. "{}"u8]);
        Assert.Contains("claims a header", Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(_folder.File("x"))).Message, StringComparison.Ordinal);
    }

    private SafetensorsFile Open(string header, int data)
    {
        var text = Encoding.UTF8.GetBytes(header);
        File.WriteAllBytes(_folder.File("x"), [.. BitConverter.GetBytes((long)text.Length), .. text, .. new byte[data]]);
        return SafetensorsFile.Open(_folder.File("x"));
    }
}

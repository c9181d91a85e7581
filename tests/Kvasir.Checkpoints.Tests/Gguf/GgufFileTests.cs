using Kvasir.Checkpoints.Gguf;
using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests.Gguf;

public sealed class GgufFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.File("x.gguf");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_kind_of_value_comes_back(int version)
    {
        new GgufWriter(version).Text("text", "żółw").UInt32("u32", 4_000_000_000).UInt16("u16", 65535).Int32("i32", -5).Float32("f32", 0.5).Bool("yes", true)
            .Texts("texts", ["a", "", "ć"]).Int32s("ints", [1, -2]).Float32s("floats", [1.5f, -2]).Bools("bools", [true, false]).Write(Path);
        using var file = GgufFile.Open(Path);
        var metadata = file.Metadata;
        Assert.Equal(version, file.Version);
        Assert.Empty(file.Tensors);
        Assert.True(metadata.TryGetString("text", out var text) && text == "żółw");
        Assert.True(metadata.TryGetInt("u32", out var large) && large == 4_000_000_000);
        Assert.True(metadata.TryGetInt("u16", out var small) && small == 65535);
        Assert.True(metadata.TryGetInt("i32", out var negative) && negative == -5);
        Assert.True(metadata.TryGetFloat("f32", out var half) && half == 0.5);
        Assert.True(metadata.TryGetFloat("i32", out var whole) && whole == -5);
        Assert.True(metadata.TryGetBool("yes", out var yes) && yes);
        Assert.True(metadata.TryGetStrings("texts", out var texts));
        Assert.Equal(["a", "", "ć"], texts);
        Assert.True(metadata.TryGetInts("ints", out var ints));
        Assert.Equal([1, -2], ints);
        Assert.True(metadata.TryGetFloats("floats", out var floats));
        Assert.Equal([1.5f, -2], floats);
        Assert.True(metadata.TryGetInts("bools", out var flags));
        Assert.Equal([1, 0], flags);
        Assert.False(metadata.TryGetString("absent", out _));
    }

    [Fact]
    public void A_key_of_another_kind_is_an_error_that_names_both()
    {
        new GgufWriter().Text("general.name", "x").Write(Path);
        using var file = GgufFile.Open(Path);
        var error = Assert.Throws<CheckpointException>(() => file.Metadata.TryGetInt("general.name", out _));
        Assert.Contains("\"general.name\" is Text, where an integer was expected", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(32)]
    [InlineData(128)]
    public void Tensors_lie_where_they_say(int alignment)
    {
        new GgufWriter(3, alignment).Tensor("a", [3], [1f, 2, 3]).Tensor("b", [2, 2], [4f, 5, 6, 7]).Write(Path);
        using var file = GgufFile.Open(Path);
        var b = file.Tensors[1];
        Assert.Equal((2L, 2L, TensorType.F32, 16L), (b.Rows, b.Columns, b.Type, b.ByteLength));
        Assert.Equal(0, b.Offset % alignment);
        Assert.Equal(6f, BitConverter.ToSingle(file.File.Bytes(b.Offset, 16)[8..]));
    }

    [Fact]
    public void A_file_of_another_kind_is_refused()
    {
        File.WriteAllText(Path, "This is not a model but a page of text that was saved under its name.");
        Assert.Contains("is not a GGUF file", Refusal(), StringComparison.Ordinal);
        File.WriteAllBytes(Path, []);
        Assert.Contains("is empty", Refusal(), StringComparison.Ordinal);
        File.Delete(Path);
        Assert.Contains("does not exist", Refusal(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1u, "version 1")]
    [InlineData(4u, "version 4")]
    [InlineData(0x03000000u, "big-endian")]
    public void Other_versions_are_refused(uint version, string expected)
    {
        new GgufWriter().Text("a", "b").Write(Path);
        Patch(4, BitConverter.GetBytes(version));
        Assert.Contains(expected, Refusal(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(8, "tensors")]
    [InlineData(16, "metadata keys")]
    public void Counts_beyond_the_file_are_refused_before_anything_is_allocated(int offset, string what)
    {
        new GgufWriter().Text("a", "b").Write(Path);
        Patch(offset, BitConverter.GetBytes(ulong.MaxValue / 2));
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains(what, Refusal(), StringComparison.Ordinal);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 100_000);
    }

    [Fact]
    public void A_truncated_tensor_is_refused_with_the_numbers()
    {
        new GgufWriter().Tensor("weights", [64], new float[64]).Write(Path);
        using (var stream = File.OpenWrite(Path)) stream.SetLength(stream.Length - 100);
        Assert.Contains("\"weights\"", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Doubled_names_are_refused()
    {
        new GgufWriter().Text("key", "a").Text("key", "b").Write(Path);
        Assert.Contains("\"key\" twice", Refusal(), StringComparison.Ordinal);
        new GgufWriter().Tensor("w", [1], [1f]).Tensor("w", [1], [1f]).Write(Path);
        Assert.Contains("\"w\" twice", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Overlapping_and_misaligned_tensors_are_refused()
    {
        new GgufWriter().Tensor("first", [16], new float[16]).Tensor("second", [16], new float[16]).Write(Path);
        // The second tensor's offset is the last declaration's last field.
        var bytes = File.ReadAllBytes(Path);
        var at = bytes.AsSpan().LastIndexOf("second"u8) + 6 + 4 + 8 + 4;
        Assert.Equal(64, BitConverter.ToInt64(bytes, at));
        Patch(at, BitConverter.GetBytes(32L));
        Assert.Contains("\"first\" and \"second\" overlap", Refusal(), StringComparison.Ordinal);
        Patch(at, BitConverter.GetBytes(63L));
        Assert.Contains("not a multiple of 32", Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_type_that_is_not_read_is_named()
    {
        new GgufWriter().Tensor("w", [16], new float[16]).Write(Path);
        var bytes = File.ReadAllBytes(Path);
        Patch(bytes.AsSpan().LastIndexOf("w"u8) + 1 + 4 + 8, BitConverter.GetBytes(16));
        Assert.Contains("IQ2_XXS", Refusal(), StringComparison.Ordinal);
    }

    private string Refusal() => Assert.Throws<CheckpointException>(() => GgufFile.Open(Path).Dispose()).Message;

    private void Patch(int offset, byte[] with)
    {
        using var stream = File.OpenWrite(Path);
        stream.Position = offset;
        stream.Write(with);
    }
}

namespace Kvasir.Checkpoints.Tests;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("4GiB", 4L << 30)]
    [InlineData("1.5 GB", 1_500_000_000)]
    [InlineData("512M", 512L << 20)]
    [InlineData("1024", 1024)]
    public void Reads_human_sizes(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out var size));
        Assert.Equal(bytes, size.Bytes);
    }

    [Theory]
    [InlineData("-1GiB")]
    [InlineData("many")]
    [InlineData("")]
    [InlineData("NaN")]
    [InlineData("99999999999999TiB")]
    public void Refuses_what_is_not_a_size(string text) => Assert.False(ByteSize.TryParse(text, out _));
}

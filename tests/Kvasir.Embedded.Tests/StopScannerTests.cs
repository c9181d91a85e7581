namespace Kvasir.Embedded.Tests;

public sealed class StopScannerTests
{
    [Theory]
    [InlineData("hello STOP world", "STOP", "hello ")]
    [InlineData("aab", "ab", "a")]
    [InlineData("aaab", "aab", "a")]
    [InlineData("no end", "STOP", "no end")]
    [InlineData("almost STO", "STOP", "almost STO")]
    public void What_is_found_does_not_depend_on_where_pieces_end(string text, string stop, string expected)
    {
        for (var size = 1; size <= text.Length; size++)
        {
            var scanner = new StopScanner([stop]);
            var output = string.Concat(text.Chunk(size).Select(piece => scanner.Push(new string(piece)))) + scanner.Flush();
            Assert.Equal(expected, output);
            Assert.Equal(expected == text ? null : stop, scanner.Found);
        }
    }

    [Fact]
    public void Of_several_the_one_complete_first_wins()
    {
        var scanner = new StopScanner(["b c d", "c"]);
        Assert.Equal("a b ", scanner.Push("a b c d"));
        Assert.Equal("c", scanner.Found);
        Assert.Equal("", scanner.Push("more"));
    }

    [Fact]
    public void A_stop_that_shall_be_shown_is_shown()
    {
        var scanner = new StopScanner(["!"], includeStop: true);
        Assert.Equal("yes!", scanner.Push("yes! no"));
    }

    [Fact]
    public void Text_is_held_back_only_while_it_may_begin_a_stop()
    {
        var scanner = new StopScanner(["\nUser:"]);
        Assert.Equal("fine", scanner.Push("fine\nUs"));
        Assert.Equal("\nUseful", scanner.Push("eful"));
    }
}

using Kvasir.Cli.Load;

namespace Kvasir.Cli.Tests.Load;

public sealed class LoadPartsTests
{
    // A tokenizer of pairs of characters.
    private static readonly Func<string, CancellationToken, Task<int>> Pairs = (text, _) => Task.FromResult((text.Length + 1) / 2);

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(75)]
    [InlineData(1550)]
    public async Task Texts_have_the_length_asked_for(int tokens)
    {
        var text = await new PromptWriter(1, Pairs).WriteAsync(tokens, 1, 0, default);
        Assert.InRange(await Pairs(text, default), tokens - tokens / 50 - 3, tokens + tokens / 50 + 3);
    }

    [Fact]
    public async Task The_same_seed_writes_the_same_and_another_something_else()
    {
        Assert.Equal(await Write(1, 2, 3), await Write(1, 2, 3));
        string[] all = [await Write(1, 2, 3), await Write(2, 2, 3), await Write(1, 3, 3), await Write(1, 2, 4)];
        Assert.Equal(4, all.Select(text => text[..20]).Distinct().Count());

        static Task<string> Write(int seed, int stream, int index) => new PromptWriter(seed, Pairs).WriteAsync(100, stream, index, default);
    }

    [Fact]
    public void An_infinite_cache_finds_the_longest_beginning_and_leaves_one_token_to_compute()
    {
        var cache = new InfiniteCache();
        Assert.Equal(0, cache.Find([1, 2, 3]));
        cache.Add([1, 2, 3, 4]);
        Assert.Equal(2, cache.Find([1, 2, 9, 4]));
        Assert.Equal(4, cache.Find([1, 2, 3, 4, 5]));
        Assert.Equal(3, cache.Find([1, 2, 3, 4]));
        Assert.Equal(0, cache.Find([2, 3, 4]));
    }

    [Fact]
    public void Percentiles_lie_between_ranks()
    {
        var spread = Spread.Of(Enumerable.Range(0, 101).Select(value => (double)(100 - value)))!.Value;
        Assert.Equal((101, 50, 50, 90, 99, 100), (spread.Count, spread.Mean, spread.P50, spread.P90, spread.P99, spread.Max));
        Assert.Equal(1.5, Spread.Of([1, 2])!.Value.P50);
        Assert.Null(Spread.Of([]));
    }

    [Fact]
    public void Metrics_are_read_with_and_without_labels_and_summed()
    {
        const string text = "# TYPE a gauge\na 5\nab 7\nb{x=\"1 }\"} 2.5\nb{x=\"2\"} 1 1700000000\n";
        Assert.Equal(5, MemoryWatch.Value(text, ["missing", "a"]));
        Assert.Equal(3.5, MemoryWatch.Value(text, ["b"]));
        Assert.Null(MemoryWatch.Value(text, ["c"]));
        Assert.Null(MemoryWatch.Value(null, ["a"]));
    }

    [Theory]
    [InlineData("http://127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080/")]
    [InlineData("ours=http://host:1/v1", "ours", "http://host:1/")]
    [InlineData("a=https://host/proxy/v1/", "a", "https://host/proxy/")]
    public void Servers_are_named_by_their_address_or_as_told(string text, string label, string address)
    {
        var read = ServerAddress.Parse(text, 5);
        Assert.Equal((label, address, 5), (read.Label, read.Address.ToString(), read.ProcessId));
    }

    [Theory]
    [InlineData("localhost:8080")]
    [InlineData("ftp://host")]
    [InlineData("")]
    public void What_is_no_address_is_said(string text) =>
        Assert.Contains("http://host:port", Assert.Throws<UsageException>(() => ServerAddress.Parse(text, null)).Message, StringComparison.Ordinal);
}

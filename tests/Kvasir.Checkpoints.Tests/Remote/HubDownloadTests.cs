using Kvasir.Checkpoints.Remote;
using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests.Remote;

public sealed class HubDownloadTests : IDisposable
{
    private static readonly HubModel File1 = HubModel.Parse("hf:org/name/model.gguf");
    private static readonly HubModel Repository = HubModel.Parse("hf:org/name");

    private readonly TemporaryFolder _folder = new();
    private readonly HubServer _server = new();
    private readonly HastyTime _time = new();
    private readonly byte[] _gguf;

    public HubDownloadTests()
    {
        SyntheticCheckpoint.Write(_folder.File("origin.gguf"), SyntheticModel.Tiny(SyntheticFamily.Llama));
        _gguf = File.ReadAllBytes(_folder.File("origin.gguf"));
        _server.Add("model.gguf", _gguf);
    }

    private HubOptions Options => new() { Endpoint = _server.Address, Folder = _folder.File("cache"), Time = _time };

    public void Dispose()
    {
        _server.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_file_arrives_whole_opens_and_is_not_fetched_again()
    {
        var path = await HubDownload.FetchAsync(File1, Options);
        Assert.Equal(Path.Combine(_folder.File("cache"), "org", "name", "model.gguf"), path);
        Assert.Equal(_gguf, File.ReadAllBytes(path));
        using (var checkpoint = Checkpoint.Open(path)) Assert.NotEmpty(checkpoint.AllTensors);
        var requests = _server.Requests.Count;
        Assert.Equal(path, await HubDownload.FetchAsync(File1, Options));
        Assert.Equal(requests, _server.Requests.Count);
        Assert.DoesNotContain(Directory.EnumerateFiles(Path.GetDirectoryName(path)!), file => file.Contains(".part", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_repository_arrives_as_a_directory_that_opens(int shards)
    {
        SyntheticCheckpoint.WriteHuggingFace(_folder.File("model"), SyntheticModel.Tiny(SyntheticFamily.Qwen3), shards);
        _server.AddFolder(_folder.File("model"));
        var path = await HubDownload.FetchAsync(Repository, Options);
        foreach (var file in Directory.EnumerateFiles(_folder.File("model"))) Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(path, Path.GetFileName(file))));
        using (var checkpoint = Checkpoint.Open(path)) Assert.True(checkpoint.Tokenizer.VocabularySize > 0);
        // After the first answer names the commit, all others are asked of it.
        Assert.All(_server.Requests.Skip(1), request => Assert.Contains(HubServer.Commit, request, StringComparison.Ordinal));
        var requests = _server.Requests.Count;
        await HubDownload.FetchAsync(Repository, Options);
        Assert.Equal(requests, _server.Requests.Count);
    }

    [Fact]
    public async Task All_files_of_a_GGUF_set_arrive()
    {
        var first = SyntheticCheckpoint.WriteGgufSplit(_folder.File("set"), SyntheticModel.Tiny(SyntheticFamily.Llama), 3);
        foreach (var file in Directory.EnumerateFiles(_folder.Path, "set-*.gguf")) _server.Add("q8/" + Path.GetFileName(file), File.ReadAllBytes(file));
        var path = await HubDownload.FetchAsync(HubModel.Parse("hf:org/name/q8/" + Path.GetFileName(first)), Options);
        using var checkpoint = Checkpoint.Open(path);
        using var local = Checkpoint.Open(first);
        Assert.Equal(local.FileBytes, checkpoint.FileBytes);
    }

    [Fact]
    public async Task Connections_that_break_are_continued_where_they_broke()
    {
        _server.BreaksAfter = _gguf.Length / 5;
        var path = await HubDownload.FetchAsync(File1, Options);
        Assert.Equal(_gguf, File.ReadAllBytes(path));
        Assert.Equal(_gguf.Length, _server.BytesSent);
        Assert.True(_server.Requests.Count(request => request.Contains("bytes=", StringComparison.Ordinal)) >= 5);
    }

    [Fact]
    public async Task Another_run_continues_what_one_could_not_finish()
    {
        _server.BreaksAfter = _gguf.Length / 3;
        await Assert.ThrowsAsync<CheckpointException>(() => HubDownload.FetchAsync(File1, Options with { Attempts = 1 }));
        Assert.Null(HubDownload.Cached(File1, Options));
        _server.BreaksAfter = int.MaxValue;
        var path = await HubDownload.FetchAsync(File1, Options);
        Assert.Equal(_gguf, File.ReadAllBytes(path));
        Assert.Equal(_gguf.Length, _server.BytesSent);
    }

    [Fact]
    public async Task A_server_that_ignores_ranges_sends_the_file_anew()
    {
        (_server.BreaksAfter, _server.Breaks, _server.IgnoresRanges) = (_gguf.Length / 2, 2, true);
        var path = await HubDownload.FetchAsync(File1, Options);
        Assert.Equal(_gguf, File.ReadAllBytes(path));
        Assert.Equal(_gguf.Length + 2 * (_gguf.Length / 2), _server.BytesSent);
    }

    [Fact]
    public async Task A_server_that_ignores_ranges_and_always_breaks_is_given_up()
    {
        (_server.BreaksAfter, _server.IgnoresRanges) = (_gguf.Length / 2, true);
        var error = await Assert.ThrowsAsync<CheckpointException>(() => HubDownload.FetchAsync(File1, Options));
        Assert.Contains("6 attempts", error.Message, StringComparison.Ordinal);
        Assert.InRange(_server.Requests.Count, 6, 7);
    }

    [Fact]
    public async Task A_part_of_another_version_is_thrown_away()
    {
        _server.BreaksAfter = _gguf.Length / 3;
        await Assert.ThrowsAsync<CheckpointException>(() => HubDownload.FetchAsync(File1, Options with { Attempts = 1 }));
        _server.BreaksAfter = int.MaxValue;
        byte[] other = [.. _gguf, 1, 2, 3];
        _server.Add("model.gguf", other);
        Assert.Equal(other, File.ReadAllBytes(await HubDownload.FetchAsync(File1, Options)));
    }

    [Fact]
    public async Task A_part_longer_than_the_file_is_thrown_away()
    {
        var path = Path.Combine(_folder.File("cache"), "org", "name", "model.gguf");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path + ".part", new byte[_gguf.Length + 5]);
        File.WriteAllText(path + ".part-of", "anything");
        Assert.Equal(_gguf, File.ReadAllBytes(await HubDownload.FetchAsync(File1, Options)));
    }

    [Fact]
    public async Task Damage_on_the_way_is_seen_by_the_checksum_and_mended()
    {
        _server.Damages = 1;
        Assert.Equal(_gguf, File.ReadAllBytes(await HubDownload.FetchAsync(File1, Options)));
        Assert.Equal(2 * _gguf.Length, _server.BytesSent);
    }

    [Fact]
    public async Task What_arrives_damaged_twice_is_refused_and_not_kept()
    {
        _server.Damages = 5;
        var error = await Assert.ThrowsAsync<CheckpointException>(() => HubDownload.FetchAsync(File1, Options));
        Assert.Contains("checksum", error.Message, StringComparison.Ordinal);
        Assert.Null(HubDownload.Cached(File1, Options));
    }

    [Fact]
    public async Task A_small_file_is_held_against_its_git_checksum()
    {
        _server.Add("config.json", "{\"model_type\":\"llama\"}"u8.ToArray());
        _server.Damages = 5;
        var error = await Assert.ThrowsAsync<CheckpointException>(() => HubDownload.FetchAsync(Repository, Options));
        Assert.Contains("config.json arrived damaged", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_checksums_and_lengths_a_file_arrives_too()
    {
        (_server.SaysChecksums, _server.SaysLengths) = (false, false);
        Assert.Equal(_gguf, File.ReadAllBytes(await HubDownload.FetchAsync(File1, Options)));
    }

    [Fact]
    public async Task A_connection_that_brings_nothing_is_taken_for_broken()
    {
        _server.Stalls = true;
        var error = await Assert.ThrowsAsync<CheckpointException>(() => HubDownload.FetchAsync(File1, Options with { StallTime = TimeSpan.FromSeconds(0.2), Attempts = 2 }));
        Assert.Contains("sent nothing", error.Message, StringComparison.Ordinal);
    }
}

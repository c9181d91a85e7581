using Kvasir.Checkpoints.Remote;
using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests.Remote;

public sealed class HubRefusalTests : IDisposable
{
    private static readonly HubModel Gguf = HubModel.Parse("hf:org/name/model.gguf");

    private readonly TemporaryFolder _folder = new();
    private readonly HubServer _server = new();
    private readonly HastyTime _time = new();
    private readonly byte[] _bytes = [.. "GGUF"u8, .. new byte[5000]];

    public HubRefusalTests() => _server.Add("model.gguf", _bytes);

    private HubOptions Options => new() { Endpoint = _server.Address, Folder = _folder.File("cache"), Time = _time };

    public void Dispose()
    {
        _server.Dispose();
        _folder.Dispose();
    }

    private Task<CheckpointException> RefusedAsync(string model, HubOptions? options = null) => Assert.ThrowsAsync<CheckpointException>(() => HubDownload.FetchAsync(HubModel.Parse(model), options ?? Options));

    [Fact]
    public async Task A_gated_model_needs_the_token_and_opens_with_it()
    {
        _server.RequiredToken = "hf_right";
        var error = await RefusedAsync("hf:org/name/model.gguf");
        Assert.Contains("401", error.Message, StringComparison.Ordinal);
        Assert.Contains("HF_TOKEN", error.Message, StringComparison.Ordinal);
        Assert.Contains("is restricted", error.Message, StringComparison.Ordinal);
        Assert.Contains("HF_TOKEN does not open it", (await RefusedAsync("hf:org/name/model.gguf", Options with { Token = "hf_wrong" })).Message, StringComparison.Ordinal);
        Assert.Equal(_bytes, File.ReadAllBytes(await HubDownload.FetchAsync(Gguf, Options with { Token = "hf_right" })));
        Assert.Empty(_time.Waits);
    }

    [Fact]
    public async Task The_token_goes_to_the_hub_and_not_to_the_store_behind_it()
    {
        (_server.RedirectsToStore, _server.RequiredToken, _server.BreaksAfter) = (true, "hf_right", 2000);
        Assert.Equal(_bytes, File.ReadAllBytes(await HubDownload.FetchAsync(Gguf, Options with { Token = "hf_right" })));
        Assert.Contains(_server.Requests, request => request.StartsWith("hub ", StringComparison.Ordinal) && request.Contains("Bearer hf_right", StringComparison.Ordinal));
        var store = _server.Requests.Where(request => request.StartsWith("store ", StringComparison.Ordinal)).ToList();
        Assert.Equal(3, store.Count);
        Assert.DoesNotContain(store, request => request.Contains("hf_right", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Behind_a_redirection_the_hubs_checksum_counts()
    {
        (_server.RedirectsToStore, _server.Damages) = (true, 9);
        Assert.Contains("checksum", (await RefusedAsync("hf:org/name/model.gguf")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_does_not_exist_is_named_at_once_with_what_does()
    {
        var error = await RefusedAsync("hf:org/name/other.gguf");
        Assert.Contains("other.gguf does not exist", error.Message, StringComparison.Ordinal);
        Assert.Contains("It has model.gguf.", error.Message, StringComparison.Ordinal);
        Assert.Contains("hf:org/name/file.gguf", (await RefusedAsync("hf:org/name")).Message, StringComparison.Ordinal);
        Assert.Contains("config.json", (await RefusedAsync("hf:nobody/nothing")).Message, StringComparison.Ordinal);
        Assert.Empty(_time.Waits);
    }

    [Fact]
    public async Task Too_many_requests_are_waited_out_as_the_server_asks()
    {
        _server.Refuses = (2, 429, "Retry-After: 7");
        Assert.Equal(_bytes, File.ReadAllBytes(await HubDownload.FetchAsync(Gguf, Options)));
        Assert.Equal([TimeSpan.FromSeconds(7), TimeSpan.FromSeconds(7)], _time.Waits);
    }

    [Fact]
    public async Task A_wait_of_an_hour_is_said_and_not_waited()
    {
        _server.Refuses = (1, 429, "Retry-After: 3600");
        Assert.Contains("3600 s", (await RefusedAsync("hf:org/name/model.gguf")).Message, StringComparison.Ordinal);
        Assert.Empty(_time.Waits);
    }

    [Fact]
    public async Task Errors_of_the_server_are_tried_again_with_longer_waits_and_then_given_up()
    {
        _server.Refuses = (100, 503, "");
        Assert.Contains("503", (await RefusedAsync("hf:org/name/model.gguf")).Message, StringComparison.Ordinal);
        Assert.Equal([1, 2, 4, 8, 16], _time.Waits.Select(wait => (int)wait.TotalSeconds));
    }

    [Fact]
    public async Task A_hub_that_cannot_be_reached_is_named()
    {
        Assert.Contains("127.0.0.1:1/", (await RefusedAsync("hf:org/name", Options with { Endpoint = new Uri("http://127.0.0.1:1") })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Offline_the_cache_serves_and_nothing_else()
    {
        var offline = Options with { Offline = true };
        Assert.Contains("HF_HUB_OFFLINE", (await RefusedAsync("hf:org/name/model.gguf", offline)).Message, StringComparison.Ordinal);
        Assert.Empty(_server.Requests);
        var path = await HubDownload.FetchAsync(Gguf, Options);
        Assert.Equal(path, await HubDownload.FetchAsync(Gguf, offline));
    }

    [Fact]
    public async Task A_half_downloaded_repository_is_not_taken_for_a_model()
    {
        SyntheticCheckpoint.WriteHuggingFace(_folder.File("model"), SyntheticModel.Tiny(SyntheticFamily.Llama), 2);
        _server.AddFolder(_folder.File("model"));
        _server.BreaksAfter = 3000;
        await RefusedAsync("hf:org/name", Options with { Attempts = 1 });
        Assert.Null(HubDownload.Cached(HubModel.Parse("hf:org/name"), Options));
        await RefusedAsync("hf:org/name", Options with { Offline = true });
        _server.BreaksAfter = int.MaxValue;
        using var checkpoint = Checkpoint.Open(await HubDownload.FetchAsync(HubModel.Parse("hf:org/name"), Options));
        Assert.NotEmpty(checkpoint.AllTensors);
    }

    [Fact]
    public async Task An_index_that_leads_out_of_the_folder_is_refused()
    {
        _server.Add("config.json", "{}"u8.ToArray());
        _server.Add("model.safetensors.index.json", "{\"weight_map\":{\"w\":\"../../../escape\"}}"u8.ToArray());
        await RefusedAsync("hf:org/name");
        Assert.DoesNotContain(_server.Requests, request => request.Contains("escape", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Two_that_want_the_same_model_download_it_once()
    {
        var both = await Task.WhenAll(Task.Run(() => HubDownload.FetchAsync(Gguf, Options)), Task.Run(() => HubDownload.FetchAsync(Gguf, Options)));
        Assert.Equal(both[0], both[1]);
        Assert.Single(_server.Requests);
    }

    [Fact]
    public async Task Progress_counts_to_the_files_size()
    {
        var seen = new List<HubProgress>();
        await HubDownload.FetchAsync(Gguf, Options, new Recorder(seen));
        Assert.Equal(new HubProgress("model.gguf", _bytes.Length, _bytes.Length), seen[^1]);
    }

    private sealed class Recorder(List<HubProgress> seen) : IProgress<HubProgress>
    {
        public void Report(HubProgress value) => seen.Add(value);
    }
}

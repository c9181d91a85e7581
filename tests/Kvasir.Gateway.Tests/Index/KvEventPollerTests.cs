using System.Net;
using System.Text;
using Kvasir.Adapters;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Requests;
using Kvasir.Gateway.Routing;

namespace Kvasir.Gateway.Tests.Index;

/// <summary>Events that TensorRT-LLM gives to whoever asks, once; the answers are shaped as its own are.</summary>
public sealed class KvEventPollerTests : IDisposable
{
    private readonly Drained worker = new();
    private readonly HttpClient http;
    private readonly EventSources sources;
    private readonly Worker at = new(0, new WorkerAddress { Name = "t", Address = new Uri("http://worker.test:8000"), Engine = EngineKind.TensorRtLlm, ApiKey = "key", KvEvents = "http://worker.test:8000/kv_cache_events" }, TimeProvider.System);

    public KvEventPollerTests()
    {
        http = new HttpClient(worker);
        sources = new EventSources(1, TimeProvider.System, http);
        sources.Subscribe(at);
    }

    public void Dispose()
    {
        sources.Dispose();
        http.Dispose();
        worker.Dispose();
    }

    [Fact]
    public async Task Stored_removed_and_moved_blocks_are_known()
    {
        await GiveAsync(Created(0), Stored(1, null, (11, Tokens(4)), (12, Tokens(4, 104)), (13, Tokens(2, 108))));
        Assert.Equal((8, 0), Held(Tokens(12)));
        Assert.Equal(("POST", "/kv_cache_events", "Bearer key"), worker.Asked);
        await GiveAsync("""{"event_id":2,"data":{"type":"updated","block_hash":12,"cache_level":{"type":"event_diff","new_value":1,"old_value":0},"priority":null},"window_size":4096}""");
        Assert.Equal((4, 4), Held(Tokens(12)));
        await GiveAsync("""{"event_id":3,"data":{"type":"removed","block_hashes":[12]},"window_size":4096}""");
        Assert.Equal((4, 0), Held(Tokens(12)));
    }

    [Fact]
    public async Task Names_may_be_text_and_a_text_goes_on_in_a_later_answer()
    {
        await GiveAsync(Stored(0, null, ("\"00ff\"", Tokens(4))), Stored(1, "\"00ff\"", ("\"abcd\"", Tokens(4, 104))));
        Assert.Equal((8, 0), Held(Tokens(8)));
        await GiveAsync("""{"event_id":2,"data":{"type":"removed","block_hashes":["abcd"]},"window_size":4096,"hash_algo":"v2_sha256"}""");
        Assert.Equal((4, 0), Held(Tokens(8)));
    }

    [Fact]
    public async Task Numbers_that_are_missing_and_numbers_that_begin_again_make_it_forget()
    {
        await GiveAsync(Stored(0, null, (11, Tokens(4))));
        await GiveAsync(Stored(2, null, (21, Tokens(4, 500))));
        Assert.Equal((0, 4), (Held(Tokens(4)).Device, Held(Tokens(4, 500)).Device));
        await GiveAsync(Created(0), Stored(1, null, (31, Tokens(4, 900))));
        Assert.Equal((0, 4), (Held(Tokens(4, 500)).Device, Held(Tokens(4, 900)).Device));
        var told = sources.Told(at)!.Value.Counts;
        Assert.Equal((4L, 1L, 1L), (told.Received, told.Lost, told.Restarts));
    }

    [Fact]
    public async Task The_widest_window_says_how_far_a_prefix_reaches()
    {
        await GiveAsync(Stored(0, null, (11, Tokens(4))).Replace("4096", "512", StringComparison.Ordinal), Stored(1, null, (11, Tokens(4)), (12, Tokens(4, 104))));
        await GiveAsync("""{"event_id":2,"data":{"type":"removed","block_hashes":[11]},"window_size":512}""");
        Assert.Equal((8, 0), Held(Tokens(8)));
    }

    [Fact]
    public async Task Salted_texts_and_images_are_kept_apart()
    {
        await GiveAsync("""{"event_id":0,"data":{"type":"stored","parent_hash":null,"blocks":[{"block_hash":1,"cache_salt":"s","tokens":[{"token_id":1,"token_extra_id":0},{"token_id":2,"token_extra_id":0}],"mm_keys":[]}]}}""",
            """{"event_id":1,"data":{"type":"stored","parent_hash":null,"blocks":[{"block_hash":2,"tokens":[{"token_id":5,"token_extra_id":9},{"token_id":6,"token_extra_id":0}],"mm_keys":[]}]}}""");
        Assert.Equal((0, 2), (Held([1, 2]).Device, Held([1, 2], "s").Device));
        Assert.Equal(0, Held([5, 6]).Device);
    }

    [Fact]
    public async Task Ranks_have_numbers_of_their_own_and_what_cannot_be_read_counts_as_lost()
    {
        await GiveAsync(Stored(0, null, (11, Tokens(4))).Replace("\"window_size\"", "\"attention_dp_rank\":1,\"window_size\"", StringComparison.Ordinal), Stored(0, null, (11, Tokens(4, 500))));
        Assert.Equal((4, 4), (Held(Tokens(4)).Device, Held(Tokens(4, 500)).Device));
        await GiveAsync("""{"event_id":1,"data":{"type":"stored","blocks":[{"block_hash":{}}]}}""");
        Assert.Equal((4, 0), (Held(Tokens(4)).Device, Held(Tokens(4, 500)).Device));
        Assert.Equal(1, sources.Told(at)!.Value.Counts.Unreadable);
    }

    private async Task GiveAsync(params string[] events)
    {
        var asked = worker.Give($"[{string.Join(',', events)}]");
        // The next question comes when the answer before it was taken.
        await TestFleet.UntilAsync(() => worker.Questions > asked);
    }

    private static string Created(int number) => $$"""{"event_id":{{number}},"data":{"type":"created","num_blocks_per_cache_level":[1000,0]},"window_size":4096}""";

    private static string Stored(int number, object? parent, params (object Key, int[] Tokens)[] blocks)
    {
        var told = blocks.Select(block => $$"""{"type":"stored_block","block_hash":{{block.Key}},"tokens":[{{string.Join(',', block.Tokens.Select(token => $$"""{"type":"unique_token","token_id":{{token}},"token_extra_id":0}"""))}}],"cache_level":0,"priority":35,"mm_keys":[]}""");
        return $$"""{"event_id":{{number}},"data":{"type":"stored","parent_hash":{{parent ?? "null"}},"blocks":[{{string.Join(',', told)}}]},"window_size":4096}""";
    }

    private static int[] Tokens(int count, int first = 100) => [.. Enumerable.Range(first, count)];

    private (double Device, double Slower) Held(int[] prompt, string? salt = null)
    {
        var (device, slower) = (new double[1], new double[1]);
        sources.Predict(PromptTokens.Of([.. prompt, 0]).For(null, salt), [], 1 << 20, device, slower);
        return (device[0], slower[0]);
    }

    /// <summary>Gives what it was given, once.</summary>
    private sealed class Drained : HttpMessageHandler
    {
        private readonly Queue<string> answers = new();

        public int Questions { get; private set; }

        public (string, string, string?) Asked { get; private set; }

        public int Give(string answer)
        {
            lock (answers)
            {
                answers.Enqueue(answer);
                return Questions + 1;
            }
        }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            lock (answers)
            {
                Questions++;
                Asked = (request.Method.Method, request.RequestUri!.AbsolutePath, request.Headers.Authorization?.ToString());
                var answer = answers.TryDequeue(out var given) ? given : "[]";
                return Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK) { Content = new StringContent(answer, Encoding.UTF8, "application/json") });
            }
        }
    }
}

using Kvasir.Planning.Tests.Reference;
using Kvasir.Planning.Workloads;

namespace Kvasir.Planning.Tests.Workloads;

public sealed class WorkloadTraceTests
{
    [Fact]
    public void The_conversation_trace_is_read_whole_and_its_reuse_is_the_published_one()
    {
        ReferenceData.Require();
        var requests = WorkloadTrace.Read(Path.Combine(ReferenceData.Folder!, "traces/mooncake/conversation_trace.jsonl"));
        Assert.Equal(12031, requests.Length);
        Assert.Equal((6758, 500, 14), (requests[0].PromptTokens, requests[0].AnswerTokens, requests[0].Blocks.Length));
        var blocks = new CachedBlocks();
        long hits = 0, all = 0;
        foreach (var request in requests)
        {
            hits += blocks.Match(request.Blocks, request.Blocks.Length).Here;
            all += request.Blocks.Length;
            blocks.Acquire(request.Blocks, request.Blocks.Length);
            blocks.Release(request.Blocks, request.Blocks.Length);
        }
        Assert.Equal((288500, 182790), (all, blocks.EverSeen));
        Assert.Equal(36.64, 100.0 * hits / all, 2);
    }

    [Theory]
    [InlineData("AzureLLMInferenceTrace_code.csv", 8819, 4808, 10)]
    [InlineData("AzureLLMInferenceTrace_conv.csv", 19366, 374, 44)]
    public void Azures_traces_are_read_whole(string file, int count, int prompt, int answer)
    {
        ReferenceData.Require();
        var requests = WorkloadTrace.Read(Path.Combine(ReferenceData.Folder!, "traces/azure", file));
        Assert.Equal(count, requests.Length);
        Assert.Equal((0.0, prompt, answer), (requests[0].ArrivalSeconds, requests[0].PromptTokens, requests[0].AnswerTokens));
        Assert.InRange(requests[^1].ArrivalSeconds, 3000, 4000);
    }

    [Theory]
    [InlineData("{\"timestamp\": 1}")]
    [InlineData("{\"timestamp\": \"x\", \"input_length\": 1, \"output_length\": 1}")]
    [InlineData("{\"timestamp\": 0, \"input_length\": -5, \"output_length\": 1}")]
    [InlineData("{\"timestamp\": 1e300, \"input_length\": 5, \"output_length\": 1}")]
    [InlineData("{")]
    [InlineData("2023-11-16,12")]
    [InlineData("yesterday,1,2")]
    public void A_line_of_another_form_is_named(string line) =>
        Assert.Contains("t.jsonl, line 2", Assert.Throws<WorkloadException>(() => WorkloadTrace.Read(["", line], "t.jsonl")).Message);

    [Fact]
    public void An_empty_trace_and_a_missing_one_are_refused()
    {
        Assert.Contains("no request", Assert.Throws<WorkloadException>(() => WorkloadTrace.Read(["TIMESTAMP,ContextTokens,GeneratedTokens"], "t.csv")).Message);
        Assert.Contains("does not exist", Assert.Throws<WorkloadException>(() => WorkloadTrace.Read("/nowhere/t.csv")).Message);
    }

    [Fact]
    public void Conversations_grow_with_each_turn_and_share_what_was_said()
    {
        var requests = new ConversationWorkload(50, 10, 800) { SharedTokens = 1024 }.Requests();
        Assert.Equal(500, requests.Length);
        Assert.Equal(requests.OrderBy(request => request.ArrivalSeconds), requests);
        Assert.Equal((1024 + 400, 1024 + 9 * 800 + 400), (requests.Min(request => request.PromptTokens), requests.Max(request => request.PromptTokens)));
        Assert.All(requests, request => Assert.Equal([0L, 1L], request.Blocks.Take(2)));
        Assert.Equal(requests, new ConversationWorkload(50, 10, 800) { SharedTokens = 1024 }.Requests(), (left, right) => left.ArrivalSeconds == right.ArrivalSeconds && left.Blocks.SequenceEqual(right.Blocks));
        Assert.Throws<WorkloadException>(() => new ConversationWorkload(0, 10, 800).Requests());
        Assert.Throws<WorkloadException>(() => new ConversationWorkload(1_000_000, 1000, 800).Requests());
    }
}

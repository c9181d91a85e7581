using System.Collections.Immutable;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Fit;
using Kvasir.Planning.Hardware;
using Kvasir.Planning.Tests.Reference;
using Kvasir.Planning.Workloads;

namespace Kvasir.Planning.Tests.Workloads;

public sealed class WorkloadPlayTests
{
    [Fact]
    public void With_room_for_all_nobody_waits_and_everybody_is_answered()
    {
        var outcome = Play("H100", new ConversationWorkload(20, 5, 800).Requests());
        Assert.Equal((100, 0, 0, 0), (outcome.Finished, outcome.Refused, outcome.Preemptions, outcome.PeakQueued));
        Assert.Null(outcome.FullAtSeconds);
        Assert.Equal(0, outcome.LostTokens);
        Assert.True(outcome.ReusedTokens > outcome.PromptTokens / 2, "turns find the conversation before them");
        Assert.InRange(outcome.MedianFirstTokenSeconds, 0.01, 1);
    }

    [Fact]
    public void What_fits_on_paper_fills_the_pool_at_run_time()
    {
        // One request of the longest kind fits many times over in 22 GiB; forty users' conversations do not.
        var plan = Plan("L4", 16384);
        Assert.True(plan.Fits);
        var outcome = WorkloadPlay.Run(plan, EngineSpeed.Of(plan), new ConversationWorkload(40, 12, 1200) { ThinkSeconds = 10 }.Requests());
        Assert.NotNull(outcome.FullAtSeconds);
        Assert.True(outcome.PeakQueued > 0 && outcome.WaitedForMemorySeconds > 0);
        Assert.True(outcome.LostTokens > 0, "prefixes were dropped before they came again");
        Assert.True(outcome.KeepAllBytes > outcome.PoolBytes);
        Assert.All(outcome.Samples, sample => Assert.True(sample.UsedBytes + sample.KeptBytes <= outcome.PoolBytes));
    }

    [Fact]
    public void Nobody_asks_again_before_having_been_answered()
    {
        var outcome = Play("L4", new ConversationWorkload(60, 8, 1600) { ThinkSeconds = 0 }.Requests());
        Assert.True(outcome.PeakQueued > 0);
        Assert.InRange(outcome.PeakRunning + outcome.PeakQueued, 1, 2 * 60);
        Assert.All(outcome.Samples, sample => Assert.InRange(sample.Running + sample.Queued, 0, 60));
        Assert.Equal(60 * 8, outcome.Finished + outcome.Refused + outcome.Unfinished);
    }

    [Fact]
    public void A_request_that_grows_beyond_the_pool_puts_the_last_back_and_it_is_still_answered()
    {
        var plan = Plan("L4", 16384);
        var each = plan.CapacityTokens / 4;
        // Four prompts fit, their answers do not.
        ImmutableArray<WorkloadRequest> requests = [.. Enumerable.Range(0, 4).Select(i => new WorkloadRequest(i, (int)(each * 0.9), (int)(each * 0.4), []))];
        var outcome = WorkloadPlay.Run(plan, EngineSpeed.Of(plan), requests);
        Assert.True(outcome.Preemptions > 0);
        Assert.Equal(4, outcome.Finished);
        Assert.True(outcome.PromptTokens > requests.Sum(request => request.PromptTokens), "what was computed is computed again");
    }

    [Fact]
    public void Requests_that_never_fit_are_refused_and_the_rest_is_served()
    {
        var outcome = Play("H100", [new(0, 100_000, 10, []), new(1, 100, 10, [])], context: 8192);
        Assert.Equal((1, 1, 0), (outcome.Refused, outcome.Finished, outcome.Unfinished));
    }

    [Fact]
    public void An_hour_of_a_real_service_is_played_in_seconds()
    {
        ReferenceData.Require();
        var requests = WorkloadTrace.Read(Path.Combine(ReferenceData.Folder!, "traces/azure/AzureLLMInferenceTrace_conv.csv"));
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var outcome = Play("H100", requests);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"{clock.Elapsed}");
        Assert.Equal(requests.Length, outcome.Finished + outcome.Refused + outcome.Unfinished);
        Assert.True(outcome.Finished > 0.99 * requests.Length);
    }

    [Fact]
    public void More_than_the_machine_can_do_ends_with_unfinished_requests_rather_than_never()
    {
        ReferenceData.Require();
        var requests = WorkloadTrace.Read(Path.Combine(ReferenceData.Folder!, "traces/mooncake/conversation_trace.jsonl"));
        var outcome = Play("L4", requests);
        Assert.True(outcome.Unfinished > 0 && outcome.PeakQueued > 1000);
        Assert.Equal(requests.Length, outcome.Finished + outcome.Refused + outcome.Unfinished);
    }

    [Fact]
    public void The_same_workload_gives_the_same_outcome()
    {
        var first = Play("L4", new ConversationWorkload(30, 6, 900).Requests());
        var second = Play("L4", new ConversationWorkload(30, 6, 900).Requests());
        Assert.Equal(first with { Samples = [] }, second with { Samples = [] });
        Assert.Equal(first.Samples, second.Samples);
    }

    private static WorkloadOutcome Play(string gpu, ImmutableArray<WorkloadRequest> requests, long context = 16384)
    {
        var plan = Plan(gpu, context);
        return WorkloadPlay.Run(plan, EngineSpeed.Of(plan), requests);
    }

    private static MemoryPlan Plan(string gpu, long context)
    {
        ReferenceData.Require();
        return MemoryPlanner.Plan(new PlanRequest
        {
            Model = WorkedExample.All().Single(example => example.Name == "Llama-3.1-8B").Spec, ModelName = "llama", Gpu = GpuCatalogue.Find(gpu), Engine = EngineCatalogue.Find("vllm")!,
            Options = new ServingOptions { Context = context },
        });
    }
}

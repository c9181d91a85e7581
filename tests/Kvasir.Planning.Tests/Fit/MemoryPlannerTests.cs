using System.Text.Json;
using Kvasir.Checkpoints;
using Kvasir.Planning.Engines;
using Kvasir.Planning.Fit;
using Kvasir.Planning.Hardware;
using Kvasir.Planning.KvCache;
using Kvasir.Planning.Weights;

namespace Kvasir.Planning.Tests.Fit;

public sealed class MemoryPlannerTests
{
    private const string Llama70B = """
        {"model_type":"llama","hidden_size":8192,"num_hidden_layers":80,"num_attention_heads":64,"num_key_value_heads":8,
         "intermediate_size":28672,"vocab_size":128256,"max_position_embeddings":131072,"rope_theta":500000.0}
        """;

    private const string Llama8B = """
        {"model_type":"llama","hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
         "intermediate_size":14336,"vocab_size":128256,"max_position_embeddings":131072,"rope_theta":500000.0}
        """;

    [Fact]
    public void Seventy_billion_parameters_fit_four_H100_and_the_cache_is_what_engines_logged()
    {
        var plan = MemoryPlanner.Plan(Request(Llama70B, "H100 SXM5 80GB", 4, new() { Context = 8192, Version = "0.19" }));
        Assert.True(plan.Fits);
        Assert.Empty(plan.Reasons);
        // The reference works out 457,680 tokens at 92 % of the card.
        Assert.InRange(plan.CapacityTokens, 400_000, 480_000);
        Assert.True(plan.MaxConcurrency > 45);
        Assert.True(plan.Free >= 0);
    }

    [Fact]
    public void Weights_that_are_too_large_are_the_one_reason_with_the_bytes_that_are_too_many()
    {
        var plan = MemoryPlanner.Plan(Request(Llama70B, "H100 SXM5 80GB", 1, new() { Context = 8192 }));
        Assert.False(plan.Fits);
        Assert.Single(plan.Reasons);
        Assert.Contains("weights alone take 131.4", plan.Reasons[0], StringComparison.Ordinal);
        Assert.Contains(plan.Fixes, fix => fix is { Fits: true, GateMet: true });
        Assert.Contains(plan.Fixes, fix => fix.What.Contains("2 GPUs", StringComparison.Ordinal) && fix.Fits);
    }

    [Fact]
    public void Quality_neutral_fixes_come_before_those_that_harm()
    {
        var plan = MemoryPlanner.Plan(Request(Llama8B, "RTX 4090", 1, new() { Context = 131072 }));
        Assert.False(plan.Fits);
        Assert.Contains("One request of 131,072 tokens", plan.Reasons[0], StringComparison.Ordinal);
        var order = plan.Fixes.Select(fix => fix.What).ToList();
        int At(string part) => order.FindIndex(what => what.Contains(part, StringComparison.Ordinal));
        Assert.InRange(At("shorten the context"), 0, At("KV cache in fp8"));
        Assert.InRange(At("KV cache in fp8"), 0, At("weights to fp8"));
        Assert.InRange(At("weights to fp8"), 0, At("4-bit"));
    }

    [Fact]
    public void The_context_that_a_fix_names_is_the_longest_that_fits()
    {
        var request = Request(Llama8B, "RTX 4090", 1, new() { Context = 131072 });
        var fix = MemoryPlanner.Plan(request).Fixes.Single(fix => fix.What.StartsWith("shorten", StringComparison.Ordinal));
        Assert.True(fix.Fits);
        Assert.True(MemoryPlanner.Plan(request with { Options = fix.Options }).Fits);
        Assert.False(MemoryPlanner.Plan(request with { Options = fix.Options with { Context = fix.Options.Context + 512 } }).Fits);
    }

    [Fact]
    public void Too_many_requests_are_counted_against_those_that_fit()
    {
        var plan = MemoryPlanner.Plan(Request(Llama8B, "H100 SXM5 80GB", 1, new() { Context = 32768 }) with { Concurrency = 64 });
        Assert.False(plan.Fits);
        var fix = plan.Fixes.Single(fix => fix.What.StartsWith("serve ", StringComparison.Ordinal));
        Assert.True(fix.Fits);
    }

    [Fact]
    public void What_other_programs_hold_stops_vLLM_from_starting_until_its_share_is_smaller()
    {
        var request = Request(Llama8B, "H100 SXM5 80GB", 1, new() { Context = 8192 }) with { UsedBytes = 20L << 30 };
        var plan = MemoryPlanner.Plan(request);
        Assert.False(plan.Fits);
        Assert.Contains("20.00 GiB are held by other programs", plan.Reasons[0], StringComparison.Ordinal);
        var fix = plan.Fixes[0];
        Assert.True(fix.Fits);
        Assert.Contains("--gpu-memory-utilization 0.74", fix.Command, StringComparison.Ordinal);
        Assert.True(MemoryPlanner.Plan(request with { Options = fix.Options }).Fits);
        Assert.True(MemoryPlanner.Plan(request with { UsedBytes = 0 }).Fits);
    }

    [Fact]
    public void A_version_without_a_number_is_refused() =>
        Assert.Contains("0.11", Assert.Throws<PlanException>(() => MemoryPlanner.Plan(Request(Llama8B, "H100 SXM5 80GB", 1, new() { Version = "latest" }))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("sglang")]
    [InlineData("trtllm")]
    [InlineData("max")]
    [InlineData("llama.cpp")]
    public void What_other_programs_hold_is_missing_from_the_budget(string engine)
    {
        var request = Request(Llama8B, "H100 SXM5 80GB", 1, new() { Context = 8192 }) with { Engine = EngineCatalogue.Find(engine)! };
        long Budget(long used) => MemoryPlanner.Plan(request with { UsedBytes = used }).Estimate.Budget;
        Assert.InRange(Budget(0) - Budget(20L << 30), 16L << 30, 20L << 30);
    }

    [Fact]
    public void A_whole_card_is_never_free_so_that_vLLM_cannot_be_given_all_of_it() =>
        Assert.StartsWith("vllm starts only where 79.19 GiB are free", MemoryPlanner.Plan(Request(Llama8B, "H100 SXM5 80GB", 1, new() { Context = 8192, Utilization = 1 })).Reasons[0], StringComparison.Ordinal);

    [Fact]
    public void A_context_beyond_what_the_model_was_made_for_is_remarked()
    {
        Assert.Contains("131,072 tokens", Assert.Single(MemoryPlanner.Plan(Request(Llama8B, "H200 SXM 141GB", 1, new() { Context = 262144 })).Notes), StringComparison.Ordinal);
        Assert.Empty(MemoryPlanner.Plan(Request(Llama8B, "H200 SXM 141GB", 1, new() { Context = 131072 })).Notes);
    }

    [Fact]
    public void What_neither_alone_fits_is_tried_together()
    {
        var plan = MemoryPlanner.Plan(Request(Llama70B, "RTX 4090", 1, new() { Context = 131072 }) with { Concurrency = 4 });
        Assert.False(plan.Fits);
        Assert.Contains(plan.Fixes, fix => fix is { Fits: true, GateMet: true });
    }

    [Theory]
    [InlineData(3, "does not divide the 64 attention heads")]
    [InlineData(128, "does not divide the 64 attention heads")]
    public void A_split_that_cuts_heads_is_refused_with_those_that_work(int tensor, string expected)
    {
        var request = Request(Llama70B, "H100 SXM5 80GB", tensor, new() { Parallelism = new Parallelism(tensor) });
        var error = Assert.Throws<PlanException>(() => MemoryPlanner.Plan(request));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 0.9)]
    [InlineData(-5, 0.9)]
    [InlineData(8192, 0)]
    [InlineData(8192, 1.5)]
    public void Numbers_that_make_no_sense_are_refused(long context, double utilization) =>
        Assert.Throws<PlanException>(() => MemoryPlanner.Plan(Request(Llama8B, "H100 SXM5 80GB", 1, new() { Context = context, Utilization = utilization })));

    [Fact]
    public void The_search_finds_the_split_that_fits()
    {
        var request = Request(Llama70B, "H100 SXM5 80GB", 8, new() { Context = 8192 });
        var split = SplitSearch.Best(request, 8)!;
        Assert.Equal(8, split.Gpus);
        Assert.True(MemoryPlanner.Plan(request with { Options = request.Options with { Parallelism = split } }).Fits);
    }

    [Fact]
    public void Set_ups_that_fit_come_smallest_first_and_all_fit()
    {
        var found = SplitSearch.Cheapest(Request(Llama70B, "H100 SXM5 80GB", 1, new() { Context = 8192 }), GpuCatalogue.All).ToList();
        Assert.NotEmpty(found);
        Assert.Equal(found.OrderBy(setup => setup.Gpu.Bytes * setup.Gpus).Select(setup => setup.Gpu.Id), found.Select(setup => setup.Gpu.Id));
        Assert.All(found, setup => Assert.True(MemoryPlanner.Plan(setup).Fits));
    }

    [Fact]
    public void Decoding_is_bounded_by_reading_the_weights()
    {
        // 16 GB at 3.35 TB/s take 4.8 ms, at 80 % of it 6 ms: the reference's floor is 5.99 ms.
        var speed = MemoryPlanner.Plan(Request(Llama8B, "H100 SXM5 80GB", 1, new() { Context = 1024 })).Throughput!;
        Assert.InRange(speed.DecodeTokensPerSecond, 140, 170);
    }

    [Theory]
    [InlineData("vllm", "--kv-cache-memory-bytes ")]
    [InlineData("sglang", "--max-total-tokens ")]
    [InlineData("trtllm", "--max_seq_len 8192")]
    [InlineData("trtllm", "max_tokens: ")]
    [InlineData("max", "--max-length 8192")]
    public void Launch_commands_carry_exact_sizes(string engine, string flag)
    {
        var request = Request(Llama70B, "H100 SXM5 80GB", 4, new() { Context = 8192 }) with { Engine = EngineCatalogue.Find(engine)! };
        var plan = MemoryPlanner.Plan(request);
        var command = request.Engine.LaunchCommand("org/model", plan.Estimate, request.Options);
        Assert.Contains(flag, command, StringComparison.Ordinal);
        Assert.Contains("org/model", command, StringComparison.Ordinal);
    }

    [Fact]
    public void The_cache_that_a_launch_command_asks_for_holds_the_asked_requests()
    {
        var request = Request(Llama70B, "H100 SXM5 80GB", 2, new() { Context = 2048 }) with { Concurrency = 8 };
        var plan = MemoryPlanner.Plan(request);
        Assert.True(plan.Fits);
        var bytes = long.Parse(MemoryPlanner.Command(request).Split("--kv-cache-memory-bytes ")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange(bytes, plan.KvNeeded, plan.Pool);
    }

    [Theory]
    [InlineData("vllm", "fp8", "--kv-cache-dtype fp8")]
    [InlineData("vllm", "int8_per_token_head", "--kv-cache-dtype int8_per_token_head")]
    [InlineData("sglang", "fp8", "--kv-cache-dtype fp8_e4m3")]
    [InlineData("trtllm", "nvfp4", "dtype: nvfp4")]
    [InlineData("llama.cpp", "q8_0", "-ctk q8_0 -ctv q8_0")]
    public void A_cache_type_reaches_the_launch_command(string engine, string type, string flag)
    {
        var request = Request(Llama8B, "H100 SXM5 80GB", 1, new() { Context = 8192, KvType = KvType.Parse(type)! }) with { Engine = EngineCatalogue.Find(engine)! };
        Assert.Contains(flag, request.Engine.LaunchCommand("org/model", MemoryPlanner.Plan(request).Estimate, request.Options), StringComparison.Ordinal);
    }

    [Fact]
    public void A_cache_type_or_split_that_an_engine_lacks_is_refused_with_what_it_takes()
    {
        var q8 = Request(Llama8B, "H100 SXM5 80GB", 1, new() { Context = 8192, KvType = KvType.Parse("q8_0")! });
        Assert.Contains("int8_per_token_head", Assert.Throws<PlanException>(() => MemoryPlanner.Plan(q8)).Message, StringComparison.Ordinal);
        var stages = Request(Llama8B, "H100 SXM5 80GB", 2, new() { Context = 8192, Parallelism = new(1, 2) }) with { Engine = new MaxRules() };
        Assert.Contains("--tp", Assert.Throws<PlanException>(() => MemoryPlanner.Plan(stages)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Llama_cpp_keeps_in_host_memory_as_many_layers_as_the_fix_says()
    {
        var request = Request(Llama70B, "GeForce RTX 4090", 1, new() { Context = 4096, OffloadBytes = 120L << 30 }) with { Engine = new LlamaCppRules() };
        var plan = MemoryPlanner.Plan(request);
        Assert.True(plan.Fits);
        // 131 GiB in 81 parts, 120 of them in host memory.
        var command = request.Engine.LaunchCommand("model.gguf", plan.Estimate, request.Options);
        Assert.Matches(@"-ngl [4-7] ", command);
    }

    private static PlanRequest Request(string config, string gpu, int gpus, ServingOptions options) => new()
    {
        Model = ModelSpecReader.FromConfig(JsonDocument.Parse(config).RootElement),
        ModelName = "org/model",
        Gpu = GpuCatalogue.Find(gpu),
        Gpus = gpus,
        Engine = EngineCatalogue.Find("vllm")!,
        Options = options.Parallelism.Gpus == 1 && gpus > 1 ? options with { Parallelism = new Parallelism(gpus) } : options,
    };
}

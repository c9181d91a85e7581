namespace Kvasir.Cli.Load;

/// <summary>Runs loads on servers in turn: each load on every server before the next load.</summary>
internal sealed class ServingBench : IDisposable
{
    private readonly TimeProvider time;
    private readonly Dictionary<ServerUnderTest, InfiniteCache> ideals;

    private ServingBench(IReadOnlyList<ServerUnderTest> servers, LoadShape shape, TimeProvider time)
    {
        (Servers, Shape, this.time) = (servers, shape, time);
        ideals = servers.ToDictionary(server => server, _ => new InfiniteCache());
    }

    /// <summary>The servers.</summary>
    public IReadOnlyList<ServerUnderTest> Servers { get; }

    /// <summary>How large the loads are.</summary>
    public LoadShape Shape { get; }

    /// <summary>Connects to all servers.</summary>
    /// <exception cref="CommandException">One is not there.</exception>
    public static async Task<ServingBench> ConnectAsync(IReadOnlyList<ServerAddress> addresses, RequestForm form, LoadShape shape, TimeProvider time, CancellationToken cancel)
    {
        var servers = new List<ServerUnderTest>();
        try
        {
            foreach (var address in addresses) servers.Add(await ServerUnderTest.ConnectAsync(address, form, time, cancel));
            return new ServingBench(servers, shape, time);
        }
        catch
        {
            foreach (var server in servers) server.Dispose();
            throw;
        }
    }

    /// <summary>Writes the loads' texts by the first tokenizer there is, and runs them.</summary>
    /// <param name="names">Loads.</param>
    /// <param name="log">Where progress is told.</param>
    /// <param name="cancel">Stops it.</param>
    public async Task<IReadOnlyList<LoadResult>> RunAsync(IReadOnlyList<string> names, TextWriter log, CancellationToken cancel)
    {
        var tokenizing = Servers.FirstOrDefault(server => server.CanTokenize);
        var writer = new PromptWriter(Shape.Seed, tokenizing is null ? null : tokenizing.CountAsync);
        if (writer.IsEstimate) await log.WriteLineAsync("No server tells its tokens (/tokenize): the prompts' lengths are estimates.");
        foreach (var server in Servers.Where(server => server.Form.IgnoreEos && !server.IgnoresEos))
            await log.WriteLineAsync($"{server.Address.Label} refuses ignore_eos: its answers may end early.");
        var results = new List<LoadResult>();
        foreach (var name in names)
        {
            var load = await ServingLoads.BuildAsync(name, Shape, writer, cancel);
            foreach (var server in Servers)
            {
                if (name == ServingLoads.SharedWarm && !names.Contains(ServingLoads.SharedCold)) await WarmAsync(server, load, cancel);
                results.Add(await RunAsync(server, load, log, cancel));
            }
        }
        return results;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var server in Servers) server.Dispose();
    }

    private async Task<LoadResult> RunAsync(ServerUnderTest server, ServingLoad load, TextWriter log, CancellationToken cancel)
    {
        await log.WriteLineAsync($"{server.Address.Label}, {load.Name}: {load.Description}");
        await using var watch = new MemoryWatch(server, time);
        var outcomes = await LoadRunner.RunAsync(server, load, time, cancel);
        var memory = await watch.StopAsync();
        return new LoadResult(server.Address.Label, load.Name, load.Description, outcomes, await ideals[server].CountAsync(server, outcomes, cancel), memory);
    }

    /// <summary>Lets the server see what the warm load's prompts begin with.</summary>
    private async Task WarmAsync(ServerUnderTest server, ServingLoad load, CancellationToken cancel)
    {
        var first = new Transcript(load.Sessions[0].System).With("Begin.");
        var outcome = await StreamedRequest.SendAsync(server, first, 1, time, time.GetTimestamp(), cancel);
        await ideals[server].CountAsync(server, [outcome], cancel);
    }
}

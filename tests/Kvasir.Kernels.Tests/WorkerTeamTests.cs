namespace Kvasir.Kernels.Tests;

public sealed class WorkerTeamTests
{
    [Theory, InlineData(1), InlineData(2), InlineData(5)]
    public void Every_chunk_of_every_loop_is_taken_once(int workers)
    {
        using var team = new WorkerTeam(workers);
        var taken = new int[200, 37];
        for (var run = 0; run < 20; run++)
        {
            Array.Clear(taken);
            team.Run(worker =>
            {
                for (var round = 0; round < 200; round++) // more loops than slots, without barriers between
                {
                    var loop = worker.Loop(37);
                    while (loop.TryNext(out var chunk)) Interlocked.Increment(ref taken[round, chunk]);
                }
            });
            foreach (var count in taken) Assert.Equal(1, count);
        }
    }

    [Fact]
    public void Nobody_passes_a_barrier_before_all_have_come()
    {
        using var team = new WorkerTeam(4);
        var arrived = new int[500];
        team.Run(worker =>
        {
            for (var round = 0; round < arrived.Length; round++)
            {
                Interlocked.Increment(ref arrived[round]);
                worker.Barrier();
                if (Volatile.Read(ref arrived[round]) != 4) throw new InvalidOperationException($"round {round}");
            }
        });
        Assert.All(arrived, count => Assert.Equal(4, count));
    }

    [Theory, InlineData(0), InlineData(2)]
    public void A_worker_s_exception_reaches_the_caller_and_the_team_goes_on(int failing)
    {
        using var team = new WorkerTeam(3);
        var failure = Assert.Throws<InvalidDataException>(() => team.Run(worker =>
        {
            if (worker.Index == failing) throw new InvalidDataException("broken");
            worker.Barrier();
        }));
        Assert.Equal("broken", failure.Message);
        var count = 0;
        team.Run(worker =>
        {
            worker.Barrier();
            Interlocked.Increment(ref count);
        });
        Assert.Equal(3, count);
    }

    [Fact]
    public void Shares_cover_everything_once()
    {
        using var team = new WorkerTeam(3);
        var covered = new int[100];
        team.Run(worker =>
        {
            var (first, count) = worker.Share(100);
            for (var i = first; i < first + count; i++) Interlocked.Increment(ref covered[i]);
        });
        Assert.All(covered, count => Assert.Equal(1, count));
    }

    [Fact]
    public void A_run_allocates_nothing()
    {
        using var team = new WorkerTeam(2);
        Action<Worker> work = static worker => worker.Barrier();
        for (var i = 0; i < 100; i++) team.Run(work);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++) team.Run(work);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}

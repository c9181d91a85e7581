namespace Kvasir.Kernels;

/// <summary>
/// Threads that run the same work side by side (SPMD). The caller is worker 0; the others wait, spinning briefly and
/// then parked. <see cref="Run"/> is for one caller at a time and allocates nothing. A worker's exception stops the
/// others at their next barrier and is thrown from <see cref="Run"/>.
/// </summary>
public sealed class WorkerTeam : IDisposable
{
    internal const int LoopSlots = 64;

    private readonly Worker[] _workers;
    private readonly Thread[] _threads;
    private readonly SemaphoreSlim[] _wake;
    private readonly ManualResetEventSlim _done = new(false, 200);
    private readonly PaddedCounter[] _loops = new PaddedCounter[LoopSlots];
    private readonly int _spins;
    private Action<Worker> _work = static _ => { };
    private int _running;
    private int _arrived;
    private int _barrierEpoch;
    private volatile Exception? _failure;
    private volatile bool _closing;

    /// <summary>Starts <paramref name="workers"/> − 1 threads; the caller decides how many cores it may use.</summary>
    public WorkerTeam(int workers)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(workers, 1);
        // Spinning only pays while every worker has a core of its own.
        _spins = workers <= Environment.ProcessorCount ? 2_000 : 20;
        _workers = new Worker[workers];
        for (var index = 0; index < workers; index++) _workers[index] = new Worker(this, index);
        _wake = new SemaphoreSlim[workers];
        _threads = new Thread[workers];
        for (var index = 1; index < workers; index++)
        {
            _wake[index] = new SemaphoreSlim(0);
            var worker = _workers[index];
            _threads[index] = new Thread(() => Serve(worker)) { IsBackground = true, Name = $"kvasir-worker-{index}" };
            _threads[index].Start();
        }
    }

    /// <summary>Number of workers, the caller included.</summary>
    public int Count => _workers.Length;

    /// <summary>Runs <paramref name="work"/> once on every worker and returns when all are done.</summary>
    public void Run(Action<Worker> work)
    {
        ObjectDisposedException.ThrowIf(_closing, this);
        _failure = null;
        Volatile.Write(ref _arrived, 0);
        foreach (ref var loop in _loops.AsSpan()) loop.Value = 0;
        foreach (var worker in _workers) worker.Restart();
        _work = work;
        _running = _workers.Length;
        _done.Reset();
        for (var index = 1; index < _workers.Length; index++) _wake[index].Release();
        Execute(_workers[0]);
        _done.Wait();
        if (_failure is { } failure) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>Ends the threads and frees the workers' scratch memory.</summary>
    public void Dispose()
    {
        if (_closing) return;
        _closing = true;
        for (var index = 1; index < _workers.Length; index++) _wake[index].Release();
        for (var index = 1; index < _workers.Length; index++)
        {
            _threads[index].Join();
            _wake[index].Dispose();
        }

        foreach (var worker in _workers) worker.Dispose();
        _done.Dispose();
    }

    internal void Barrier()
    {
        if (_workers.Length == 1) return;
        var epoch = Volatile.Read(ref _barrierEpoch);
        if (Interlocked.Increment(ref _arrived) == _workers.Length)
        {
            Volatile.Write(ref _arrived, 0);
            Interlocked.Increment(ref _barrierEpoch);
            return;
        }

        for (var turn = 0; Volatile.Read(ref _barrierEpoch) == epoch; turn++)
        {
            if (_failure is not null) throw new TeamAbortedException();
            if (turn < _spins) Thread.SpinWait(4);
            else Thread.Yield(); // Others want this core: a parked wait would cost more than it gives in mid-step.
        }
    }

    /// <summary>The next number of a shared loop; see <see cref="Worker.Loop"/>.</summary>
    internal int Ticket(int slot) => Interlocked.Increment(ref _loops[slot].Value) - 1;

    private void Serve(Worker worker)
    {
        var wake = _wake[worker.Index];
        while (true)
        {
            for (var turn = 0; turn < _spins && wake.CurrentCount == 0; turn++) Thread.SpinWait(8);
            wake.Wait();
            if (_closing) return;
            Execute(worker);
        }
    }

    private void Execute(Worker worker)
    {
        try
        {
            _work(worker);
        }
        catch (TeamAbortedException)
        {
            // The failure that caused it is already recorded.
        }
        catch (Exception failure)
        {
            Interlocked.CompareExchange(ref _failure, failure, null);
        }

        if (Interlocked.Decrement(ref _running) == 0) _done.Set();
    }

    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Sequential, Size = 64)]
    private struct PaddedCounter
    {
        public int Value;
    }

    private sealed class TeamAbortedException : Exception;
}

namespace Kvasir.Gateway.Admission;

/// <summary>
/// Room for so many requests at a time. Where there is none, requests wait: the higher priority first, within one
/// priority the tenant that was served the fewest tokens by its weight (start-time fair queuing, Goyal, Vin, Cheng 1996),
/// within one tenant the first first. Beyond a bound they are refused.
/// </summary>
public sealed class FairQueue
{
    private readonly Lock _lock = new();
    private readonly SortedSet<Waiter> _waiting = new(Waiter.Order);
    private readonly Dictionary<string, (double Start, double Finish)> _turns = new(StringComparer.Ordinal);
    private double _virtualTime;
    private long _number;
    private int _inside;

    /// <param name="room">Requests that are served at a time.</param>
    /// <param name="mostWaiting">Requests that may wait.</param>
    public FairQueue(int room, int mostWaiting) => (Room, MostWaiting) = (room, mostWaiting);

    /// <summary>Requests that are served at a time.</summary>
    public int Room { get; }

    /// <summary>Requests that may wait.</summary>
    public int MostWaiting { get; }

    /// <summary>Requests that are served.</summary>
    public int Inside { get { lock (_lock) return _inside; } }

    /// <summary>Requests that wait.</summary>
    public int Waiting { get { lock (_lock) return _waiting.Count; } }

    /// <summary>Waits for room; false where too many wait already. Whoever came in must <see cref="Leave"/>.</summary>
    /// <param name="tenant">Who asks.</param>
    /// <param name="tokens">Tokens that serving it probably takes, prompt and answer; at least one counts.</param>
    /// <param name="cancel">The client left.</param>
    public ValueTask<bool> EnterAsync(Tenant tenant, double tokens, CancellationToken cancel)
    {
        Waiter waiter;
        lock (_lock)
        {
            if (_inside < Room)
            {
                _inside++;
                return ValueTask.FromResult(true);
            }
            if (_waiting.Count >= MostWaiting) return ValueTask.FromResult(false);
            // Nobody earns credit by asking for nothing: a tenant that comes back starts with the present.
            if (_waiting.Count == 0) _turns.Clear();
            var turn = _turns.GetValueOrDefault(tenant.Name);
            // However cheap those before turn out to be, nobody overtakes within a tenant.
            var start = Math.Max(_virtualTime, Math.Max(turn.Start, turn.Finish));
            _turns[tenant.Name] = (start, start + (Math.Max(1, tokens) / tenant.Weight));
            waiter = new Waiter(tenant.Priority, start, _number++);
            _waiting.Add(waiter);
        }
        return WaitAsync(waiter, cancel);
    }

    /// <summary>A request ended: the next one may come in.</summary>
    public void Leave()
    {
        lock (_lock)
        {
            if (_waiting.Min is not { } next)
            {
                _inside--;
                return;
            }
            _waiting.Remove(next);
            _virtualTime = Math.Max(_virtualTime, next.Start);
            next.Admitted.TrySetResult();
        }
    }

    /// <summary>A request took other than it was thought to: what its tenant asks next waits so much longer or shorter.</summary>
    public void Settle(Tenant tenant, double thoughtTokens, double actualTokens)
    {
        lock (_lock)
            if (_turns.TryGetValue(tenant.Name, out var turn)) _turns[tenant.Name] = turn with { Finish = turn.Finish + ((actualTokens - thoughtTokens) / tenant.Weight) };
    }

    private async ValueTask<bool> WaitAsync(Waiter waiter, CancellationToken cancel)
    {
        await using var left = cancel.Register(() =>
        {
            // Whoever was admitted a moment ago has its room, and gives it back as everybody does.
            lock (_lock)
                if (_waiting.Remove(waiter)) waiter.Admitted.TrySetCanceled(cancel);
        });
        await waiter.Admitted.Task;
        return true;
    }

    private sealed record Waiter(RequestPriority Priority, double Start, long Number)
    {
        public static readonly IComparer<Waiter> Order = Comparer<Waiter>.Create((a, b) =>
            a.Priority != b.Priority ? a.Priority.CompareTo(b.Priority) : a.Start != b.Start ? a.Start.CompareTo(b.Start) : a.Number.CompareTo(b.Number));

        public TaskCompletionSource Admitted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

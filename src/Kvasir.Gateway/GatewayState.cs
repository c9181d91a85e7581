using System.Collections.Immutable;
using Kvasir.Gateway.Admission;
using Kvasir.Gateway.Discovery;
using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Policies;
using Kvasir.Gateway.Requests;
using Kvasir.Gateway.Routing;

namespace Kvasir.Gateway;

/// <summary>What the gateway's parts share.</summary>
public sealed class GatewayState : IDisposable
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _empty;
    private int _inside;

    internal GatewayState(GatewayOptions options, TimeProvider time, HttpClient client)
    {
        (Options, Time) = (options, time);
        Fleet = new WorkerFleet(time);
        Caches = new CacheView(Fleet.Capacity, time, client);
        Router = new Router(Fleet, Caches, Decisions, time, new Random());
        Doors = new Doorkeeper(time);
        Discovery = new DiscoveryLoop(Fleet, new EndpointFinder(KubernetesApi.OfThisPod()), time);
        Metrics = new GatewayMetrics(Fleet, Caches, Doors, () => Inside);
        Prompts = new PromptReader(Fleet, Caches.Events.Knows, new RemoteTokenizer(client));
        Fleet.Changed += (worker, came) =>
        {
            if (came) Caches.Events.Subscribe(worker);
            else Caches.Events.Unsubscribe(worker);
            if (!came) Caches.Clear(worker);
        };
        Apply(options);
    }

    /// <summary>How it listens, routes and forwards.</summary>
    public GatewayOptions Options { get; private set; }

    /// <summary>Who may come in.</summary>
    public Doorkeeper Doors { get; }

    /// <summary>Where workers are found.</summary>
    public DiscoveryLoop Discovery { get; }

    /// <summary>
    /// Takes new options while running: workers, discovery, policies, tenants, room and the goal. What is bound to
    /// sockets (addresses, TLS, time limits of connections) stays as it was at the start.
    /// </summary>
    /// <exception cref="GatewayConfigurationException">They cannot be; the old ones stay.</exception>
    public void Apply(GatewayOptions options)
    {
        var (policy, shadows) = (PolicyNamed(options.Policy), options.Shadows.Select(PolicyNamed).ToImmutableArray());
        Discovery.Apply(options.Workers, options.Discoveries);
        Doors.Apply(options.Tenants, options.MaxInside, options.MaxWaiting);
        (Router.Policy, Router.Shadows, Router.GoalSeconds) = (policy, shadows, options.TimeToFirstTokenGoal?.TotalSeconds);
        Caches.Events.MostBytes = options.MaxIndexBytes;
        Options = options;
    }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; }

    /// <summary>Where HTTP/2 without TLS is spoken, or null.</summary>
    internal string? Http2Address { get; set; }

    /// <summary>The clock's stamp in seconds, for what compares stamps.</summary>
    internal double Seconds => Time.GetTimestamp() / (double)Time.TimestampFrequency;

    /// <summary>The workers.</summary>
    public WorkerFleet Fleet { get; }

    /// <summary>What they hold.</summary>
    public CacheView Caches { get; }

    /// <summary>Who decides.</summary>
    public Router Router { get; }

    /// <summary>Why it went where it went.</summary>
    public DecisionLog Decisions { get; } = new();

    /// <summary>From requests to prompts.</summary>
    public PromptReader Prompts { get; }

    /// <summary>The figures.</summary>
    public GatewayMetrics Metrics { get; }

    /// <summary>Requests that are being answered.</summary>
    public int Inside => Volatile.Read(ref _inside);

    /// <summary>Whether new requests are refused.</summary>
    public bool IsDraining { get { lock (_lock) return _empty is not null; } }

    /// <summary>Refuses new requests from now on; the task ends when none is left.</summary>
    public Task BeginDrain()
    {
        lock (_lock)
        {
            _empty ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_inside == 0) _empty.TrySetResult();
            return _empty.Task;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Metrics.Dispose();
        Caches.Dispose();
    }

    internal Stay Enter()
    {
        Interlocked.Increment(ref _inside);
        return new Stay(this);
    }

    private void Leave()
    {
        lock (_lock)
            if (Interlocked.Decrement(ref _inside) == 0) _empty?.TrySetResult();
    }

    private static IRoutingPolicy PolicyNamed(string name) => PolicyCatalog.Find(name)
        ?? throw new GatewayConfigurationException($"'{name}' is not a policy; choose among {string.Join(", ", PolicyCatalog.Names)}.");

    /// <summary>A request inside the gateway.</summary>
    internal readonly struct Stay(GatewayState state) : IDisposable
    {
        public void Dispose() => state.Leave();
    }
}

using System.Runtime.InteropServices;

namespace Kvasir.Cli;

/// <summary>The first and the second SIGINT or SIGTERM.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly TaskCompletionSource first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource second = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly PosixSignalRegistration[] registrations;

    public StopSignals() => registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, Take),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, Take),
    ];

    public Task First => first.Task;

    public Task Second => second.Task;

    public void Dispose()
    {
        foreach (var registration in registrations) registration.Dispose();
    }

    private void Take(PosixSignalContext context)
    {
        context.Cancel = true;
        if (!first.TrySetResult()) second.TrySetResult();
    }
}

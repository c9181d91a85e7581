using System.Runtime;
using Kvasir.Engine;

namespace Kvasir.Cli;

/// <summary>Keeps the garbage-collected heap of a server small and within what <c>--memory</c> leaves for it.</summary>
internal static class ManagedHeap
{
    /// <summary>Part of <see cref="MemoryBudget.RuntimeBytes"/> that is not managed objects: code, stacks, libraries.</summary>
    private const long NativeBytes = 80L << 20;

    /// <summary>
    /// Collects at once instead of beside requests. While it collects beside them the heap grows by all that they
    /// allocate, which on a busy machine was as much again; the heap of a server is small, so that a pause is short.
    /// </summary>
    public static void KeepLevel() => GCSettings.LatencyMode = GCLatencyMode.Batch;

    /// <summary>
    /// Tells the collector its bound, so that it collects rather than grows. Without <c>--memory</c> there is no bound.
    /// </summary>
    public static void Bound(long? processBytes, long ledgerBytes)
    {
        if (processBytes is not { } limit) return;
        var bytes = Math.Max(64L << 20, Math.Min(limit - ledgerBytes - NativeBytes, 512L << 20));
        AppContext.SetData("GCHeapHardLimit", (ulong)bytes);
        GC.RefreshMemoryLimit();
    }
}

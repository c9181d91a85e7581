using Kvasir.Checkpoints;
using Kvasir.Engine.KvCache;
using Kvasir.Engine.Model;
using Kvasir.Kernels;

namespace Kvasir.Engine;

/// <summary>What an engine that sleeps has given back.</summary>
public enum SleepLevel
{
    /// <summary>Nothing: it is awake.</summary>
    Awake,
    /// <summary>The KV cache on the device.</summary>
    KvCache,
    /// <summary>The KV cache and the weights, which are read from the checkpoint again.</summary>
    Weights,
}

/// <summary>
/// Gives the memory of an engine without requests back to the system, and takes it again at the same addresses. The
/// ledger follows: what is given back is free for others. For one thread: the engine's.
/// </summary>
internal sealed class EngineSleep : IDisposable
{
    private readonly MemoryLedger _ledger;
    private readonly EngineMemoryPlan _plan;
    private readonly NativeBuffer _blocks;
    private readonly ModelWeights _weights;
    private readonly Action _reload;
    private readonly PrefixCache _cache;
    private MemoryReservation? _blockBytes, _weightBytes;

    /// <param name="ledger">Where the lines of KV cache and weights are reserved.</param>
    /// <param name="plan">How large they are.</param>
    /// <param name="reserved">The lines as they are reserved already; those of KV cache and weights are this one's from now on.</param>
    /// <param name="blocks">Memory of the device's blocks.</param>
    /// <param name="weights">The weights; in the mapped file they are the system's to keep or drop.</param>
    /// <param name="reload">Fills the weights' memory anew.</param>
    /// <param name="cache">What the blocks hold.</param>
    public EngineSleep(
        MemoryLedger ledger, EngineMemoryPlan plan, IReadOnlyDictionary<string, MemoryReservation> reserved, NativeBuffer blocks, ModelWeights weights, Action reload, PrefixCache cache)
    {
        (_ledger, _plan, _blocks, _weights, _reload, _cache) = (ledger, plan, blocks, weights, reload, cache);
        (_blockBytes, _weightBytes) = (reserved.GetValueOrDefault(EngineMemoryPlan.KvLine), reserved.GetValueOrDefault(EngineMemoryPlan.WeightsLine));
    }

    /// <summary>What has been given back.</summary>
    public SleepLevel Level { get; private set; }

    /// <summary>Gives back, beyond what has been already. What the device held goes to the tiers below, as far as they have room; pins end.</summary>
    public void Sleep(SleepLevel level)
    {
        if (Level < SleepLevel.KvCache && level >= SleepLevel.KvCache)
        {
            _cache.Vacate();
            _blocks.Discard();
            _blockBytes!.Dispose();
            _blockBytes = null;
        }
        if (Level < SleepLevel.Weights && level >= SleepLevel.Weights && _weightBytes is not null)
        {
            _weights.Arena!.Discard();
            _weightBytes.Dispose();
            _weightBytes = null;
        }
        Level = (SleepLevel)Math.Max((int)Level, (int)level);
    }

    /// <summary>Takes everything again.</summary>
    /// <exception cref="MemoryBudgetException">Others have reserved the memory meanwhile; the engine sleeps on.</exception>
    /// <exception cref="CheckpointException">The model's files are not what they were; the engine sleeps on.</exception>
    public void Wake()
    {
        if (Level == SleepLevel.Awake) return;
        var blocks = _blockBytes ?? Reserve(EngineMemoryPlan.KvLine);
        MemoryReservation? weights = null;
        try
        {
            weights = _weightBytes ?? Reserve(EngineMemoryPlan.WeightsLine);
            if (Level == SleepLevel.Weights && _weights.Arena is not null) _reload();
            (_blockBytes, _weightBytes, Level) = (blocks, weights, SleepLevel.Awake);
        }
        catch
        {
            // What was read before the fault is of no use.
            if (Level == SleepLevel.Weights) _weights.Arena?.Discard();
            if (blocks != _blockBytes) blocks?.Dispose();
            if (weights != _weightBytes) weights?.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _blockBytes?.Dispose();
        _weightBytes?.Dispose();
    }

    private MemoryReservation? Reserve(string line) => _plan.Bytes(line) is > 0 and var bytes ? _ledger.Reserve(line, bytes) : null;
}

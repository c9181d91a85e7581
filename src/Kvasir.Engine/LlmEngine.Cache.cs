using System.Collections.Immutable;
using System.Globalization;
using Kvasir.Checkpoints;
using Kvasir.Engine.Inspection;
using Kvasir.Engine.KvCache;

namespace Kvasir.Engine;

/// <summary>What users may see of the KV cache, hold in it and delete from it.</summary>
public sealed partial class LlmEngine
{
    /// <summary>Blocks that give way between their being computed and their being pinned are computed again, so often.</summary>
    private const int PinAttempts = 3;

    /// <summary>Keeps the full blocks of a text on the device, whether requests use them or not; computes what is not there.</summary>
    /// <param name="prompt">The text's tokens.</param>
    /// <param name="salt">The tenant's salt, or null.</param>
    /// <param name="time">How long; null until it is unpinned or the engine ends.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="RequestException">It is shorter than a block, wrong, or pins would take more than they may.</exception>
    public async Task<PinOutcome> PinAsync(ImmutableArray<int> prompt, string? salt = null, TimeSpan? time = null, CancellationToken cancel = default)
    {
        Check(new GenerationRequest { Prompt = prompt, MaxTokens = 0 });
        if (!_options.PrefixCache) throw new RequestException(RefusalKind.Invalid, "Nothing can be pinned, for the prefix cache is off (--no-prefix-cache).");
        if (prompt.Length < BlockTable.BlockTokens)
            throw new RequestException(RefusalKind.Invalid, $"The prefix has {prompt.Length} tokens, but a pin holds whole blocks of {BlockTable.BlockTokens}.");
        var computed = 0;
        for (var attempt = 0; attempt <= PinAttempts; attempt++)
        {
            var outcome = await TryPinAsync(prompt, salt, time, computed).WaitAsync(cancel).ConfigureAwait(false);
            if (outcome is not null) return outcome;
            var stream = Submit(new GenerationRequest { Prompt = prompt, MaxTokens = 0, CacheSalt = salt, Id = "pin" });
            await using (((IAsyncDisposable)stream).ConfigureAwait(false))
                await foreach (var _ in stream.WithCancellation(cancel).ConfigureAwait(false)) { }
            computed = Math.Max(computed, stream.Usage.PromptTokens - stream.Usage.CachedTokens);
        }
        throw new RequestException(RefusalKind.QueueFull, "The prefix was computed, but other requests needed its room before it could be pinned. Try again later.");
    }

    /// <summary>Ends a pin.</summary>
    /// <returns>False when there is no pin of this id.</returns>
    public Task<bool> UnpinAsync(string id) => TryName(id, out var name) ? _loop.AskAsync(() => _cache.Unpin(name)) : Task.FromResult(false);

    /// <summary>Ends all pins.</summary>
    /// <returns>How many there were.</returns>
    public Task<int> UnpinAllAsync() => _loop.AskAsync(() =>
    {
        var pins = _cache.Pins.Count;
        while (_cache.Pins.Count > 0) _cache.Unpin(_cache.Pins[^1].Name);
        return pins;
    });

    /// <summary>What is cached, in all tiers.</summary>
    public async Task<KvListing> CachedAsync()
    {
        var (entries, roots, pins) = await _loop.AskAsync(() => (_cache.Entries(), _cache.Records.Roots.ToHashSet(), Pins())).ConfigureAwait(false);
        return KvListing.Of(entries, roots, pins);
    }

    /// <summary>Deletes everything that is kept, in every tier. Requests that run keep what they hold until they end.</summary>
    public Task<KvDeletion> DeleteAllAsync() => _loop.AskAsync(() => _loop.Delete(default));

    /// <summary>Deletes what is kept of a tenant.</summary>
    /// <param name="tenant">Its name, see <see cref="TenantName"/>.</param>
    /// <returns>Null when nobody of this name was heard of.</returns>
    public Task<KvDeletion?> DeleteTenantAsync(string tenant) => _loop.AskAsync(() =>
        _cache.Records.Roots.Append(TenantName.Root(null)).Where(root => TenantName.Of(root) == tenant).Select(root => (UInt128?)root).FirstOrDefault() is { } root
            ? _loop.Delete(new KvSelection(root, null)) : null);

    /// <summary>Deletes what is kept under a salt.</summary>
    public Task<KvDeletion> DeleteSaltAsync(string salt) => _loop.AskAsync(() => _loop.Delete(new KvSelection(TenantName.Root(salt), null)));

    /// <summary>Deletes a block, all that follows it, and what leads to it alone.</summary>
    /// <param name="id">Id of a <see cref="CachedPrefix"/> or <see cref="KvPin"/>.</param>
    /// <returns>Null when there is no such block.</returns>
    public Task<KvDeletion?> DeletePrefixAsync(string id) => !TryName(id, out var name) ? Task.FromResult<KvDeletion?>(null) : _loop.AskAsync(() =>
        _cache.Entries().Exists(entry => entry.Name == name) ? _loop.Delete(new KvSelection(null, name)) : null);

    /// <summary>What the engine has given back; <see cref="SleepLevel.Awake"/> before it sleeps and after it was woken.</summary>
    public SleepLevel Sleeps => _loop.Sleeps;

    /// <summary>
    /// Gives memory back to the system until <see cref="WakeAsync"/>: requests are refused from now on, those that run and
    /// wait are finished first. What the device held goes to the tiers below, pins end.
    /// </summary>
    /// <param name="level">How much to give back; more than before, or it changes nothing.</param>
    /// <param name="wait">How long to wait for requests; after that the engine stays awake.</param>
    /// <exception cref="TimeoutException">Requests still ran.</exception>
    public Task SleepAsync(SleepLevel level, TimeSpan wait) => _loop.SleepAsync(level, wait, _sleep);

    /// <summary>Takes the memory again, reads weights again if they were given back, and takes requests.</summary>
    /// <exception cref="MemoryBudgetException">Others have reserved the memory meanwhile; the engine sleeps on.</exception>
    /// <exception cref="CheckpointException">The model's files are not what they were; the engine sleeps on.</exception>
    public Task WakeAsync() => _loop.WakeAsync(_sleep);

    /// <summary>Pins what is on the device; null when a part is not.</summary>
    internal Task<PinOutcome?> TryPinAsync(ImmutableArray<int> prompt, string? salt, TimeSpan? time = null, int computed = 0) => _loop.AskAsync(() => TryPin(prompt, salt, time, computed));

    private PinOutcome? TryPin(ImmutableArray<int> prompt, string? salt, TimeSpan? time, int computed)
    {
        var most = (int)(Plan.KvBlocks * _options.KvPinShare);
        var ends = time is { } span ? _time.GetTimestamp() + (long)(span.TotalSeconds * _time.TimestampFrequency) : long.MaxValue;
        var blocks = _cache.TryPin(new BlockTable(_pool, Plan.Groups, TenantName.Root(salt)), prompt.AsSpan(), ends, most, out var pinned);
        if (blocks > most)
            throw new RequestException(RefusalKind.ExceedsPinShare,
                $"Pins would hold {blocks} blocks ({new ByteSize(blocks * BlockBytes)}), but may hold {most} ({new ByteSize(most * BlockBytes)}), {_options.KvPinShare:0.##} of the {Plan.KvBlocks} that the KV cache has. Unpin something, shorten the prefix, or raise --kv-pin-share or --memory.");
        return pinned is null ? null : new PinOutcome(Pin(pinned), computed, _cache.Records.Pinned * BlockBytes, most * BlockBytes);
    }

    private long BlockBytes => Plan.KvBlockBytes;

    private ImmutableArray<KvPin> Pins() => [.. _cache.Pins.Select(Pin)];

    private KvPin Pin(PinnedPrefix pin) => new(KvListing.Id(pin.Name), TenantName.Of(pin.Table.Root), pin.Table.Listed * BlockTable.BlockTokens, pin.Table.Held * BlockBytes,
        pin.Ends == long.MaxValue ? null : Math.Max(0, (double)(pin.Ends - _time.GetTimestamp()) / _time.TimestampFrequency));

    private static bool TryName(string id, out UInt128 name)
    {
        name = default;
        return id.Length == 32 && UInt128.TryParse(id, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out name) && name != 0;
    }
}

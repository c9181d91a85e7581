using System.Collections.Immutable;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;

namespace Kvasir.Server.Turns;

/// <summary>
/// Who of several models is awake. A request enters a model and leaves it; one for a model that sleeps waits until the model
/// that was used longest ago has no requests, has been put to sleep, and the wanted one was woken. A model that others wait
/// for takes no new requests once its turn is over, so that busy models alternate. Where all may be awake nobody waits.
/// </summary>
/// <remarks>
/// One swap at a time: the ledger has room for one model more only when another has left. Whose oldest request waits longest
/// is woken next. A turn lasts <see cref="ServerOptions.LeastTurn"/>, or four times what the last swap took where that is
/// more, so that swaps between busy models take a fifth of the time at most. Within its turn a model without requests
/// stays for a quarter of a swap: who asks it again and again, a moment after each answer, shall not pay a swap each time.
/// </remarks>
public sealed partial class ModelTurns
{
    /// <summary>A turn, and the time that an idle model stays within it, by what a swap takes.</summary>
    private const double TurnPerSwap = 4, LingerPerSwap = 0.25;

    private readonly Lock gate = new();
    private readonly ImmutableArray<ModelPlace> places;
    private readonly ServerOptions options;
    private readonly TimeProvider time;
    private ITimer? timer;
    private ModelPlace? closing;
    private Task? swap;
    private TimeSpan lastSwap;
    private bool isStopping;

    internal ModelTurns(ImmutableArray<ServedModel> models, int awake, ServerOptions options, TimeProvider time)
    {
        (Awake, this.options, this.time) = (awake, options, time);
        places = [.. models.Select(model => new ModelPlace(model, time.GetTimestamp()))];
    }

    /// <summary>Told how long a swap took, and for whom.</summary>
    internal Action<ServedModel, TimeSpan> Swapped { get; init; } = static (_, _) => { };

    /// <summary>How many models may be awake at a time.</summary>
    public int Awake { get; }

    /// <summary>Whether models take turns: there are more of them than may be awake.</summary>
    public bool Alternate => Awake < places.Length;

    /// <summary>Requests that wait for the model to wake.</summary>
    public int Waiting(ServedModel model)
    {
        lock (gate) return Of(model).Waiting.Count;
    }

    /// <summary>Whether the model was told to sleep, and so wakes when it is told to and not when it is asked.</summary>
    public bool IsHeld(ServedModel model)
    {
        lock (gate) return Alternate ? Of(model).IsHeld : model.Engine.Engine.Sleeps != SleepLevel.Awake;
    }

    /// <summary>Lets a request in to a model once that is awake; it must <see cref="Leave"/> if it was let in.</summary>
    /// <param name="model">Which.</param>
    /// <param name="sequences">Answers that the request asks for.</param>
    /// <param name="cancel">Gives up waiting.</param>
    /// <returns>Why it was not let in; null when it was.</returns>
    public async Task<RequestFailure?> EnterAsync(ServedModel model, int sequences, CancellationToken cancel)
    {
        var place = Of(model);
        Waiter waiter;
        lock (gate)
        {
            if (!Alternate || TryAdmit(place)) return null;
            if (isStopping) return Draining();
            if (place.IsHeld) return Held(place);
            var most = model.Engine.Pipeline.MaxChoices;
            var ahead = place.Waiting.Sum(other => other.Sequences);
            if (ahead + sequences > most)
                return new RequestFailure(FailureKind.QueueFull, $"{ahead} requests wait for '{model.Name}' to wake, and {most} may. Try again later, or raise --max-queue.");
            place.Waiting.AddLast(waiter = new Waiter(sequences, time.GetTimestamp()));
            Consider();
        }
        try
        {
            return await waiter.Outcome.Task.WaitAsync(options.ModelWait, time, cancel);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            lock (gate)
            {
                var isDecided = !place.Waiting.Remove(waiter);
                if (isDecided && error is TimeoutException) return waiter.Outcome.Task.Result;
                // Let in and gone in the same moment.
                if (isDecided && waiter.Outcome.Task.Result is null) LeaveLocked(place);
                Consider();
            }
            if (error is OperationCanceledException) throw;
            return new RequestFailure(FailureKind.Asleep, $"'{model.Name}' did not wake within {options.ModelWait.TotalSeconds:0.#} s, for requests of other models still run. Try again later.");
        }
    }

    /// <summary>Lets a request out.</summary>
    public void Leave(ServedModel model)
    {
        if (!Alternate) return;
        lock (gate) LeaveLocked(Of(model));
    }

    /// <summary>Lets nobody wait any longer; who is inside stays.</summary>
    public void BeginDrain()
    {
        lock (gate)
        {
            isStopping = true;
            foreach (var place in places) place.Refuse(Draining());
            Consider();
        }
    }

    /// <summary>Returns when no swap is under way any more; after <see cref="BeginDrain"/>.</summary>
    internal async Task StopAsync()
    {
        BeginDrain();
        Task? last;
        lock (gate) last = swap;
        if (last is not null) await last;
        timer?.Dispose();
    }

    private ModelPlace Of(ServedModel model) => places.First(place => place.Model == model);

    /// <summary>Lets one in where the model is awake and open.</summary>
    private bool TryAdmit(ModelPlace place)
    {
        if (place.Stage != ModelStage.Awake || place.Moves is not null || place == closing || place.IsHeld) return false;
        place.Inside++;
        place.Used = time.GetTimestamp();
        return true;
    }

    private void LeaveLocked(ModelPlace place)
    {
        place.Inside--;
        place.Used = time.GetTimestamp();
        Consider();
    }

    /// <summary>Lets in who waits for what is awake and open, and begins the next swap if one is wanted and possible.</summary>
    private void Consider()
    {
        AdmitWaiting();
        if (swap is not null) return;
        // One look at the clock for all: between two, a model could be too early to give way and too late to be looked at again.
        var now = time.GetTimestamp();
        var wanted = isStopping ? null : places.Where(place => place.IsWanted).MinBy(place => place.Waiting.First!.Value.Since);
        // One that dozes has its room already.
        var hasRoom = wanted is { Stage: ModelStage.Dozing } || places.Count(place => place.Stage != ModelStage.Asleep) < Awake;
        var victim = wanted is null || hasRoom ? null
            : places.Where(place => place.MayGiveWay && Stays(place, now) <= TimeSpan.Zero).OrderBy(place => place.IsHeld ? 0 : 1).ThenBy(place => place.Used).FirstOrDefault();
        if (wanted is not null && (hasRoom || victim is not null))
        {
            victim?.Begin();
            wanted.Begin();
            closing = null;
            swap = SwapAsync(victim, wanted);
        }
        else
        {
            if (wanted is null) closing = null;
            else if (closing is not { Moves: null }) closing = places.Where(place => place.Inside > 0 && Stays(place, now) <= TimeSpan.Zero).MinBy(place => place.Woke);
            if (wanted is not null) LookAgain(now);
        }
        AdmitWaiting();
    }

    private void AdmitWaiting()
    {
        foreach (var place in places)
            while (place.Waiting.First is { } next && TryAdmit(place))
            {
                place.Waiting.RemoveFirst();
                next.Value.Outcome.SetResult(null);
            }
    }

    /// <summary>How long the model is left as it is while others wait: until its turn is over, or it was idle for a while.</summary>
    private TimeSpan Stays(ModelPlace place, long now)
    {
        if (place.IsHeld || place.Stage != ModelStage.Awake) return TimeSpan.Zero;
        var turn = Longer(options.LeastTurn, lastSwap * TurnPerSwap) - time.GetElapsedTime(place.Woke, now);
        if (place.Inside > 0) return turn;
        var linger = Longer(options.LeastLinger, lastSwap * LingerPerSwap) - time.GetElapsedTime(place.Used, now);
        return turn < linger ? turn : linger;
    }

    /// <summary>Considers again when the next model has stayed long enough.</summary>
    private void LookAgain(long now)
    {
        var stays = places.Where(place => place is { Stage: ModelStage.Awake, Moves: null }).Select(place => Stays(place, now))
            .Where(span => span > TimeSpan.Zero).DefaultIfEmpty(Timeout.InfiniteTimeSpan).Min();
        timer ??= time.CreateTimer(_ => { lock (gate) Consider(); }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        // Timers count whole milliseconds, and one that is early would find nothing to do.
        timer.Change(stays + (stays > TimeSpan.Zero ? TimeSpan.FromMilliseconds(1) : TimeSpan.Zero), Timeout.InfiniteTimeSpan);
    }

    private static TimeSpan Longer(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private async Task SwapAsync(ModelPlace? victim, ModelPlace wanted)
    {
        // Whoever begins a swap holds the lock that its end takes.
        await Task.Yield();
        var started = time.GetTimestamp();
        RequestFailure? failure = null;
        try
        {
            // What cannot wake shall not have disturbed another for it.
            wanted.Model.Engine.Checkpoint.RequireUnchanged();
            if (victim is not null) await victim.Model.Engine.Engine.SleepAsync(SleepLevel.Weights, Timeout.InfiniteTimeSpan);
            await wanted.Model.Engine.Engine.WakeAsync();
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            failure = new RequestFailure(FailureKind.Asleep, $"'{wanted.Model.Name}' cannot wake: {error.Message}");
        }
        var took = time.GetElapsedTime(started);
        if (failure is null) Swapped(wanted.Model, took);
        lock (gate)
        {
            victim?.End();
            wanted.End();
            wanted.Woke = wanted.Used = time.GetTimestamp();
            if (failure is null) lastSwap = took;
            else wanted.Refuse(failure);
            swap = null;
            Consider();
        }
    }

    private static RequestFailure Held(ModelPlace place) =>
        new(FailureKind.Asleep, $"'{place.Model.Name}' was put to sleep and takes no requests until it is woken (POST /wake_up?model={Uri.EscapeDataString(place.Model.Name)}).");

    private static RequestFailure Draining() => new(FailureKind.Draining, "The server is shutting down and takes no new requests.");
}

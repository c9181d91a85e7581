using Kvasir.Checkpoints;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;

namespace Kvasir.Server.Turns;

/// <summary>What users say of who sleeps, over the turns.</summary>
public sealed partial class ModelTurns
{
    /// <summary>Puts a model to sleep until <see cref="WakeAsync"/>; see <see cref="LlmEngine.SleepAsync"/>. Who waits for it is refused.</summary>
    /// <exception cref="TimeoutException">Requests still ran; it stays awake.</exception>
    public async Task SleepAsync(ServedModel model, SleepLevel level, TimeSpan wait)
    {
        var (engine, place) = (model.Engine.Engine, Of(model));
        if (!Alternate)
        {
            await engine.SleepAsync(level, wait);
            return;
        }
        bool wasHeld;
        lock (gate)
        {
            wasHeld = place.IsHeld;
            place.IsHeld = true;
            place.Refuse(Held(place));
        }
        if (!await BeginAsync(place)) return;
        try
        {
            await engine.SleepAsync(level, wait);
        }
        catch (TimeoutException)
        {
            lock (gate) place.IsHeld = wasHeld;
            throw;
        }
        finally
        {
            lock (gate)
            {
                place.End();
                Consider();
            }
        }
    }

    /// <summary>Begins a change of a model that is not asleep, after those under way; false where it is asleep by then.</summary>
    private async Task<bool> BeginAsync(ModelPlace place)
    {
        while (true)
        {
            Task others;
            lock (gate)
            {
                if (place.Moves is null)
                {
                    if (place.Stage != ModelStage.Asleep) place.Begin();
                    return place.Stage != ModelStage.Asleep;
                }
                others = place.Moves;
            }
            await others;
        }
    }

    /// <summary>Wakes the model when its turn comes; after <see cref="Release"/>.</summary>
    /// <returns>Why it did not wake; null when it did.</returns>
    public async Task<RequestFailure?> WakeAsync(ServedModel model, CancellationToken cancel)
    {
        if (!Alternate)
        {
            try
            {
                await model.Engine.Engine.WakeAsync();
                return null;
            }
            catch (Exception error) when (error is MemoryBudgetException or CheckpointException)
            {
                return new RequestFailure(FailureKind.Asleep, error.Message);
            }
        }
        var failure = await EnterAsync(model, 0, cancel);
        if (failure is null) Leave(model);
        return failure;
    }

    /// <summary>Ends what <see cref="SleepAsync"/> said of several models; they wake when they are asked.</summary>
    public void Release(IEnumerable<ServedModel> models)
    {
        lock (gate)
        {
            foreach (var model in models) Of(model).IsHeld = false;
            Consider();
        }
    }
}

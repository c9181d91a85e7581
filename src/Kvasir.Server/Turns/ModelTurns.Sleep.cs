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
        var wasHeld = false;
        while (true)
        {
            Task? others;
            lock (gate)
            {
                if (!place.IsHeld) place.Refuse(Held(place));
                else wasHeld = true;
                place.IsHeld = true;
                others = place.Moves;
                if (others is null)
                {
                    if (place.Stage == ModelStage.Asleep) return;
                    place.Begin();
                    break;
                }
            }
            await others;
        }
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

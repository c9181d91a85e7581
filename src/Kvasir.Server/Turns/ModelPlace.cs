using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;

namespace Kvasir.Server.Turns;

/// <summary>What a model has of its memory.</summary>
internal enum ModelStage
{
    /// <summary>All of it.</summary>
    Awake,
    /// <summary>The weights, no KV cache: told to sleep at level 1.</summary>
    Dozing,
    /// <summary>Neither.</summary>
    Asleep,
}

/// <summary>A request that waits for a model to wake.</summary>
/// <param name="sequences">Answers that it asks for.</param>
/// <param name="since">When it came.</param>
internal sealed class Waiter(int sequences, long since)
{
    public int Sequences { get; } = sequences;

    public long Since { get; } = since;

    /// <summary>Null when it was let in.</summary>
    public TaskCompletionSource<RequestFailure?> Outcome { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>What <see cref="ModelTurns"/> knows of one model; its lock guards it.</summary>
internal sealed class ModelPlace(ServedModel model, long now)
{
    private TaskCompletionSource? moves;

    public ServedModel Model { get; } = model;

    /// <summary>What it has; while it <see cref="Moves"/>, what it had before.</summary>
    public ModelStage Stage { get; private set; } = StageOf(model);

    /// <summary>Ends with a change of stage that is under way; null while there is none.</summary>
    public Task? Moves => moves?.Task;

    /// <summary>Whether it was told to sleep.</summary>
    public bool IsHeld { get; set; }

    /// <summary>Requests that it answers.</summary>
    public int Inside { get; set; }

    /// <summary>When it woke.</summary>
    public long Woke { get; set; } = now;

    /// <summary>When a request last came or went.</summary>
    public long Used { get; set; } = now;

    public LinkedList<Waiter> Waiting { get; } = [];

    /// <summary>Whether it should be woken.</summary>
    public bool IsWanted => Stage != ModelStage.Awake && moves is null && Waiting.Count > 0;

    /// <summary>Whether it could be put to sleep at once.</summary>
    public bool MayGiveWay => Stage != ModelStage.Asleep && moves is null && Inside == 0;

    /// <summary>A change begins.</summary>
    public void Begin() => moves = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>A change ended, as it may.</summary>
    public void End()
    {
        Stage = StageOf(Model);
        moves!.SetResult();
        moves = null;
    }

    /// <summary>Sends away who waits.</summary>
    public void Refuse(RequestFailure failure)
    {
        foreach (var waiter in Waiting) waiter.Outcome.SetResult(failure);
        Waiting.Clear();
    }

    private static ModelStage StageOf(ServedModel model) => model.Engine.Engine.Sleeps switch
    {
        SleepLevel.Awake => ModelStage.Awake,
        SleepLevel.KvCache => ModelStage.Dozing,
        _ => ModelStage.Asleep,
    };
}

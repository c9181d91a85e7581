namespace Kvasir.Engine;

/// <summary>
/// What other threads want to know of, or do to, things that are the engine's thread's own: answered between two steps, in
/// the order asked.
/// </summary>
internal sealed class StepQuestions
{
    /// <summary>Questions that may wait; a step answers all of them.</summary>
    private const int Most = 256;

    private readonly Lock _lock = new();
    private List<(Action Answer, Action<Exception> Refuse)> _waiting = [];
    private List<(Action Answer, Action<Exception> Refuse)> _answering = [];

    /// <summary>Asks; what the question throws, the task fails with.</summary>
    /// <exception cref="RequestException">Too many wait.</exception>
    public Task<T> Add<T>(Func<T> question)
    {
        var answer = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (_waiting.Count >= Most) throw new RequestException(RefusalKind.QueueFull, $"{_waiting.Count} questions wait for the engine's next step already. Ask less often.");
            _waiting.Add((() =>
            {
                try
                {
                    answer.TrySetResult(question());
                }
                catch (Exception error) when (error is not OutOfMemoryException)
                {
                    answer.TrySetException(error);
                }
            }, error => answer.TrySetException(error)));
        }
        return answer.Task;
    }

    /// <summary>Answers what waits. For the engine's thread.</summary>
    public void Answer()
    {
        lock (_lock)
        {
            if (_waiting.Count == 0) return;
            (_waiting, _answering) = (_answering, _waiting);
        }
        foreach (var (answer, _) in _answering) answer();
        _answering.Clear();
    }

    /// <summary>The engine has ended: nothing that waits will be answered.</summary>
    public void Refuse(Exception error)
    {
        lock (_lock)
        {
            foreach (var (_, refuse) in _waiting) refuse(error);
            _waiting.Clear();
        }
    }
}

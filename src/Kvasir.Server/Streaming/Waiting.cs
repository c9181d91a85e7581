namespace Kvasir.Server.Streaming;

/// <summary>Reads parts, and sends signs of life while none come.</summary>
internal static class Waiting
{
    /// <summary>Passes on each part; calls <paramref name="keepAlive"/> after every interval without one.</summary>
    public static async Task ForEachAsync(
        Func<CancellationToken, IAsyncEnumerable<TextPart>> parts, TimeSpan interval, TimeProvider time,
        Func<ValueTask> keepAlive, Func<TextPart, ValueTask> take, CancellationToken cancel)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await using var reader = parts(leaving.Token).GetAsyncEnumerator(leaving.Token);
        while (true)
        {
            var next = reader.MoveNextAsync().AsTask();
            try
            {
                while (!await CompletesWithinAsync(next, interval, time)) await keepAlive();
            }
            catch
            {
                // A reader must not be disposed while it reads: it is told to leave first.
                await leaving.CancelAsync();
                await next.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
                throw;
            }
            if (!await next) return;
            await take(reader.Current);
        }
    }

    /// <summary>Whether the task ends within the time; else it goes on.</summary>
    public static async Task<bool> CompletesWithinAsync(Task task, TimeSpan interval, TimeProvider time)
    {
        if (task.IsCompleted) return true;
        using var waited = new CancellationTokenSource();
        var first = await Task.WhenAny(task, Task.Delay(interval, time, waited.Token));
        await waited.CancelAsync();
        return first == task;
    }
}

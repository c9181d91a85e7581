using System.Threading.Channels;

namespace Kvasir.Cli.Load;

/// <summary>Runs a load against a server.</summary>
internal static class LoadRunner
{
    /// <summary>Runs it to its end.</summary>
    /// <param name="server">Whom to ask.</param>
    /// <param name="load">What to ask.</param>
    /// <param name="time">Clock.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>What came of each request, in the order in which they were sent.</returns>
    public static async Task<IReadOnlyList<RequestOutcome>> RunAsync(ServerUnderTest server, ServingLoad load, TimeProvider time, CancellationToken cancel)
    {
        var outcomes = new List<RequestOutcome>(load.Requests);
        var waiting = Channel.CreateUnbounded<Progress>();
        var left = load.Sessions.Count;
        if (left == 0) return outcomes;
        var start = time.GetTimestamp();
        var arriving = ArriveAsync();
        var workers = Math.Min(load.Concurrency > 0 ? load.Concurrency : load.Sessions.Count, load.Sessions.Count);
        await Task.WhenAll([arriving, .. Enumerable.Range(0, workers).Select(_ => WorkAsync())]);
        outcomes.Sort((one, other) => one.SentSeconds.CompareTo(other.SentSeconds));
        return outcomes;

        async Task ArriveAsync()
        {
            foreach (var session in load.Sessions)
            {
                if (session.ArrivalSeconds is { } arrival && TimeSpan.FromSeconds(arrival) - time.GetElapsedTime(start) is { Ticks: > 0 } wait) await Task.Delay(wait, time, cancel);
                waiting.Writer.TryWrite(new(session, 0, new Transcript(session.System)));
            }
        }

        async Task WorkAsync()
        {
            await foreach (var next in waiting.Reader.ReadAllAsync(cancel))
            {
                var progress = next;
                while (progress is not null)
                {
                    progress = await TurnAsync(progress);
                    if (progress is null && Interlocked.Decrement(ref left) == 0) waiting.Writer.Complete();
                    if (progress is null || !load.Interleave) continue;
                    waiting.Writer.TryWrite(progress);
                    progress = null;
                }
            }
        }

        // The session after one more turn; null where it is over.
        async Task<Progress?> TurnAsync(Progress progress)
        {
            var turn = progress.Session.Turns[progress.Turn];
            var asked = progress.Said.With(turn.Text);
            var outcome = await StreamedRequest.SendAsync(server, asked, turn.OutputTokens, time, start, cancel);
            lock (outcomes) outcomes.Add(outcome);
            var isOver = outcome.Error is not null || progress.Turn + 1 == progress.Session.Turns.Count;
            return isOver ? null : new(progress.Session, progress.Turn + 1, asked.With(outcome.Text));
        }
    }

    private sealed record Progress(LoadSession Session, int Turn, Transcript Said);
}

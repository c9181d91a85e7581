using System.Diagnostics;
using Kvasir.Checkpoints;

namespace Kvasir.Synthesis.Fuzzing;

/// <summary>
/// Damages checkpoints and opens them: each must open or give a <see cref="CheckpointException"/>, soon, and without
/// allocating much more than the sound checkpoint does.
/// </summary>
public static class Fuzzer
{
    /// <summary>Longest time that a damaged file may take.</summary>
    public static readonly TimeSpan TimeLimit = TimeSpan.FromSeconds(5);

    // Beyond what the sound checkpoint takes, a tokenizer's tables of fixed size among it. Objects for a header's entries
    // weigh a few times what their bytes do; files' data is never copied.
    private const int AllocationFactor = 2;
    private const long AllocationConstant = 512 * 1024;

    // HashCode differs from process to process; a failure has to come back with its seed and number.
    private const int SeedStride = 1_000_003;

    /// <summary>What a run did.</summary>
    /// <param name="Mutations">Damaged checkpoints that were opened.</param>
    /// <param name="Refused">Those that gave a <see cref="CheckpointException"/>.</param>
    /// <param name="Failures">One line for each that broke a promise.</param>
    public sealed record Result(int Mutations, int Refused, IReadOnlyList<string> Failures);

    /// <summary>Runs until a number of mutations per target, or a time, is reached.</summary>
    /// <param name="seed">The run's seed; a failure names it and its own number.</param>
    /// <param name="perTarget">Mutations of each target.</param>
    /// <param name="until">A bound on the time.</param>
    public static Result Run(int seed, int perTarget, TimeSpan until)
    {
        var folder = Directory.CreateTempSubdirectory("kvasir-fuzz-");
        try
        {
            var failures = new List<string>();
            int mutations = 0, refused = 0;
            var clock = Stopwatch.StartNew();
            var targets = FuzzTarget.Write(folder.FullName).Select(target => (Target: target, Original: File.ReadAllBytes(target.Damaged), Header: target.HeaderBytes())).ToList();
            foreach (var (target, _, _) in targets) target.Read();
            var sound = targets.ToDictionary(entry => entry.Target, entry => Allocated(entry.Target.Read));
            for (var i = 0; i < perTarget && clock.Elapsed < until; i++)
            {
                foreach (var (target, original, header) in targets)
                {
                    var random = new Random(unchecked((seed * SeedStride) + i));
                    var (bytes, what) = target.IsJson ? Mutation.ApplyToJson(original, random) : Mutation.Apply(original, header, random);
                    File.WriteAllBytes(target.Damaged, bytes);
                    mutations++;
                    if (Try(target, original.Length + FolderBytes(target), sound[target], ref refused) is { } failure)
                        failures.Add($"{target.Name}, seed {seed}, number {i} ({what}): {failure}");
                    File.WriteAllBytes(target.Damaged, original);
                }
            }
            return new Result(mutations, refused, failures);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static long FolderBytes(FuzzTarget target) =>
        Directory.Exists(target.Opened) ? new DirectoryInfo(target.Opened).EnumerateFiles().Sum(file => file.Length) : 0;

    private static string? Try(FuzzTarget target, long bytes, long sound, ref int refused)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var clock = Stopwatch.StartNew();
        try
        {
            target.Read();
        }
        catch (CheckpointException)
        {
            refused++;
        }
        catch (Exception error)
        {
            return $"{error.GetType().Name}: {error.Message} {error.StackTrace?.Split('\n').FirstOrDefault()?.Trim()}";
        }
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        if (clock.Elapsed > TimeLimit) return $"took {clock.Elapsed.TotalSeconds:0.0} s";
        return allocated > sound + AllocationFactor * bytes + AllocationConstant ? $"allocated {allocated} bytes for {bytes}, {sound} when sound" : null;
    }

    private static long Allocated(Action read)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        read();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}

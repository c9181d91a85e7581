using System.Diagnostics;
using Kvasir.DemoModel.Network;
using Kvasir.DemoModel.Text;
using Kvasir.DemoModel.Vocabulary;
using TorchSharp;
using static TorchSharp.torch;

namespace Kvasir.DemoModel.Training;

/// <summary>Trains for a number of steps, with a snapshot every few minutes; goes on from the snapshot where there is one.</summary>
internal sealed class Trainer(string folder, int steps, int tokensPerStep, TextWriter log)
{
    private const int WarmUp = 50;
    private const double MatrixRate = 0.02, OtherRate = 0.004, Flat = 0.35;

    public const string SnapshotName = "training.bin";

    /// <summary>Seed of the weights, of the text and of the text that the vocabulary is learned from.</summary>
    public const int Seed = 1;

    public void Run()
    {
        var model = new Llama(Seed);
        List<(string Name, Tensor Value)> parameters = [.. model.Parameters()];
        var optimizer = new Muon(parameters);
        string path = Path.Combine(folder, SnapshotName);
        Directory.CreateDirectory(folder);
        (int step, double before) = (0, 0.0);
        if (File.Exists(path))
        {
            (step, before, Dictionary<string, float[]> tensors) = Snapshot.Read(path);
            Snapshot.Restore(tensors, parameters.Concat(optimizer.State()));
        }
        log.WriteLine($"{parameters.Sum(parameter => parameter.Value.numel())} parameters, from step {step} of {steps}");
        BytePairVocabulary vocabulary = BytePairVocabulary.Load();
        var clock = Stopwatch.StartNew();
        TimeSpan saved = TimeSpan.Zero;
        (double loss, long tokens, int since) = (0, 0, 0);
        foreach (Batch batch in new Batches(vocabulary, Seed, tokensPerStep).From(step))
        {
            if (step >= steps)
                break;
            step++;
            (double batchLoss, int batchTokens) = Learn(model, optimizer, batch, step);
            (loss, tokens, since) = (loss + batchLoss, tokens + batchTokens, since + 1);
            if (step % (step < 50 ? 5 : 50) == 0)
            {
                log.WriteLine($"step {step}: loss {loss / since:F4}, {before + clock.Elapsed.TotalSeconds:F0} s, {tokens / clock.Elapsed.TotalSeconds:F0} tokens/s");
                log.Flush();
                (loss, since) = (0, 0);
            }
            if (clock.Elapsed - saved > TimeSpan.FromMinutes(2) || step == steps)
            {
                Snapshot.Write(path, step, before + clock.Elapsed.TotalSeconds, parameters.Concat(optimizer.State()));
                saved = clock.Elapsed;
            }
        }
    }

    private (double Loss, int Tokens) Learn(Llama model, Muon optimizer, Batch batch, int step)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor ids, Tensor positions, Tensor targets, int tokens) = batch.ToTensors();
        Tensor loss = model.Loss(ids, positions, targets);
        loss.backward();
        double share = Math.Min(1.0, (double)step / WarmUp) * Math.Min(1.0, (1 - (double)(step - 1) / steps) / (1 - Flat));
        optimizer.Step(step, MatrixRate * share, OtherRate * share);
        // Gradients outlive the step that made them.
        foreach ((_, Tensor value) in model.Parameters())
            value.grad?.DetachFromDisposeScope();
        return (loss.item<float>(), tokens);
    }
}

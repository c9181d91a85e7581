using Kvasir.Engine.Scheduling;
using Kvasir.Simulation.Workers;

namespace Kvasir.Simulation;

/// <summary>Collects what happened to requests.</summary>
internal sealed class SimulationTally(int workers)
{
    private readonly List<double> _firstTokens = [];
    private readonly int[] _sent = new int[workers];
    private long _promptTokens, _cachedTokens, _outputTokens;
    private double _perToken, _last;
    private int _perTokenCount;

    public void Sent(int worker) => _sent[worker]++;

    public void FirstToken(VirtualRequest request, double seconds)
    {
        _firstTokens.Add(seconds);
        _promptTokens += request.PromptTokens;
        _cachedTokens += request.CachedTokens;
    }

    public void Finished(Job job, VirtualRequest request, double now)
    {
        _last = Math.Max(_last, now);
        _outputTokens += request.OutputTokens;
        if (request.OutputTokens <= 1) return;
        _perToken += (now - job.FirstTokenSeconds) / (request.OutputTokens - 1);
        _perTokenCount++;
    }

    public PolicyFigures Figures(string policy, double startSeconds)
    {
        _firstTokens.Sort();
        var seconds = Math.Max(1e-9, _last - startSeconds);
        return new PolicyFigures(policy, _firstTokens.Count, _firstTokens.DefaultIfEmpty().Average(), Percentile(0.5), Percentile(0.99),
            _perTokenCount == 0 ? 0 : _perToken / _perTokenCount, _promptTokens == 0 ? 0 : (double)_cachedTokens / _promptTokens,
            _outputTokens / seconds, _promptTokens / seconds, (double)_sent.Max() / Math.Max(1, _sent.Sum()));
    }

    private double Percentile(double share) =>
        _firstTokens.Count == 0 ? 0 : _firstTokens[Math.Min(_firstTokens.Count - 1, (int)(share * _firstTokens.Count))];
}

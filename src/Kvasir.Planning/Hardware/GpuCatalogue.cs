using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Kvasir.Checkpoints;

namespace Kvasir.Planning.Hardware;

/// <summary>The accelerators that Kvasir knows, by name. The data is gpus.json, embedded in this assembly.</summary>
public static partial class GpuCatalogue
{
    private const int LongestName = 200;
    private static readonly Lazy<ImmutableArray<(Gpu Gpu, HashSet<string> Keys, HashSet<string> Words)>> Entries = new(Read);

    /// <summary>All cards and machines, in the catalogue's order: NVIDIA's data centre cards first.</summary>
    public static IEnumerable<Gpu> All => Entries.Value.Select(entry => entry.Gpu);

    /// <summary>
    /// The card that a name means: "H100", "NVIDIA A100-SXM4-80GB", "rtx 4090", "Apple M4 Max 64GB", an instance such as
    /// "A100 80GB 3g.40gb", or a size alone, "80GiB".
    /// </summary>
    /// <exception cref="HardwareException">No card has the name, or several have; the message lists the nearest.</exception>
    public static Gpu Find(string name)
    {
        if (name.Length > LongestName) throw new HardwareException($"A GPU's name of {name.Length} characters is none. Give one such as \"H100 SXM5 80GB\".");
        if (Size().IsMatch(name) && ByteSize.TryParse(name, out var size)) return Gpu.WithMemory(size.Bytes);
        if (Instance().Match(name) is { Success: true } match)
            return MigInstance.Of(Find(name.Remove(match.Index, match.Length)), match.Groups["profile"].Value);
        var found = Candidates(name);
        return found.Count switch
        {
            1 => found[0],
            0 => throw new HardwareException($"No GPU called '{name}' is known. Nearest: {Quoted(Nearest(name))}. A card that is not listed can be given by its memory: --gpu-memory 80GiB."),
            _ => throw new HardwareException($"'{name}' may mean several GPUs: {Quoted(found.Take(8))}. Give one of these names."),
        };
    }

    /// <summary>The card that a driver's or a user's name means, or null where none or several match.</summary>
    public static Gpu? TryFind(string name) => Candidates(name) is [var gpu] ? gpu : null;

    /// <summary>Known cards whose names look most like <paramref name="name"/>, best first.</summary>
    public static IEnumerable<Gpu> Nearest(string name, int count = 3)
    {
        var key = GpuNames.Key(name.Length > LongestName ? name[..LongestName] : name);
        var words = GpuNames.Words(name);
        return Entries.Value
            .OrderBy(entry => entry.Keys.Min(candidate => GpuNames.Distance(key, candidate) - 3.0 * words.Count(entry.Words.Contains)))
            .Take(count).Select(entry => entry.Gpu);
    }

    private static List<Gpu> Candidates(string name)
    {
        if (string.IsNullOrWhiteSpace(name) || name.Length > LongestName) return [];
        var key = GpuNames.Key(name);
        var exact = Entries.Value.Where(entry => entry.Keys.Contains(key)).Select(entry => entry.Gpu).ToList();
        if (exact.Count > 0 || key.Length == 0) return exact;
        var words = GpuNames.Words(name);
        return [.. Entries.Value.Where(entry => words.All(entry.Words.Contains)).Select(entry => entry.Gpu)];
    }

    private static string Quoted(IEnumerable<Gpu> gpus) => string.Join(", ", gpus.Select(gpu => $"\"{gpu.Name}\""));

    private static ImmutableArray<(Gpu, HashSet<string>, HashSet<string>)> Read()
    {
        var entries = ImmutableArray.CreateBuilder<(Gpu, HashSet<string>, HashSet<string>)>();
        foreach (var entry in GpuFile.Embedded().Gpus)
        {
            foreach (var gpu in entry.Gpus())
            {
                // Machines sold with several sizes of memory need the size in the name.
                var suffix = entry.MemoryOptionsGb.Length > 1 ? $" {gpu.LabelGigabytes}GB" : "";
                string[] names = [gpu.Id, gpu.Name, .. entry.Aliases.Select(alias => alias + suffix)];
                var words = names.SelectMany(GpuNames.Words).Append($"{gpu.LabelGigabytes}gb");
                entries.Add((gpu, [.. names.Select(GpuNames.Key)], [.. words]));
            }
        }
        return entries.ToImmutable();
    }

    [GeneratedRegex(@"^\s*[\d.]+\s*[KMGT]i?B\s*$", RegexOptions.IgnoreCase)]
    private static partial Regex Size();

    [GeneratedRegex(@"[\s:,/]*(\bMIG\b)?[\s:-]*\b(?<profile>\dg\.\d+gb(\+me)?)", RegexOptions.IgnoreCase)]
    private static partial Regex Instance();
}

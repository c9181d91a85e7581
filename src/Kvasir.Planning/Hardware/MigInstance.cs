using System.Collections.Immutable;
using System.Globalization;

namespace Kvasir.Planning.Hardware;

/// <summary>Turns a card and a MIG profile into the GPU that a process in the instance sees.</summary>
public static class MigInstance
{
    /// <summary>The instance: its memory, and the shares of bandwidth and compute that its slices bring.</summary>
    /// <param name="card">The whole card.</param>
    /// <param name="profile">"3g.40gb".</param>
    /// <exception cref="HardwareException">The card cannot be cut, or not so.</exception>
    public static Gpu Of(Gpu card, string profile)
    {
        if (card.MigProfiles.IsEmpty) throw new HardwareException($"{card.Name} cannot be cut into instances, so '{profile}' is none of its. Leave the profile out.");
        var found = card.MigProfiles.FirstOrDefault(known => known.Name.Equals(profile, StringComparison.OrdinalIgnoreCase))
            ?? throw new HardwareException($"{card.Name} has no instance '{profile}'. It has {string.Join(", ", card.MigProfiles.Select(known => known.Name))}.");
        var computeSlices = card.MigProfiles.Max(known => known.Slices);
        // Memory comes in eighths on cards of seven compute slices, in quarters on those of four.
        var parts = computeSlices == 7 ? 8 : computeSlices;
        var taken = Math.Clamp((int)Math.Round(NominalGigabytes(found) * parts / card.MigProfiles.Max(NominalGigabytes)), 1, parts);
        var bytes = found.Bytes ?? Usable(card.Bytes, taken, parts);
        return card with
        {
            Id = $"{card.Id}:{found.Name}", Name = $"{card.Name} {found.Name}", MigProfile = found.Name, MigProfiles = [],
            Bytes = bytes, LowBytes = (long)(bytes * 0.98), HighBytes = (long)(bytes * 1.01), ToolBytes = null, LabelGigabytes = (int)NominalGigabytes(found),
            Evidence = found.Bytes is null ? CapacityEvidence.Estimated : CapacityEvidence.Observed,
            Bandwidth = card.Bandwidth * taken / parts, LinkBandwidth = null,
            OperationsPerSecond = card.OperationsPerSecond.ToImmutableDictionary(pair => pair.Key, pair => pair.Value * found.Slices / computeSlices),
        };
    }

    // A100's smallest instance reports 4 % less than its eighth; one of n eighths loses 4 % / n.
    private static long Usable(long card, int taken, int parts) => (long)(card * ((double)taken / parts) * (1 - (0.04 / taken)));

    private static double NominalGigabytes(MigProfile profile)
    {
        var digits = profile.Name.AsSpan(profile.Name.IndexOf('.') + 1);
        return double.Parse(digits[..digits.IndexOf("gb")], CultureInfo.InvariantCulture);
    }
}

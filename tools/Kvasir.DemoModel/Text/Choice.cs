namespace Kvasir.DemoModel.Text;

/// <summary>Seeded choices.</summary>
internal static class Choice
{
    public static T Pick<T>(this Random random, IReadOnlyList<T> items) => items[random.Next(items.Count)];

    /// <summary>One of the trained wordings, or, for held-out questions, one of the last <paramref name="kept"/>.</summary>
    public static string PickWording(this Random random, string[] wordings, int kept, bool heldOut) =>
        heldOut ? wordings[wordings.Length - 1 - random.Next(kept)] : wordings[random.Next(wordings.Length - kept)];

    /// <summary>A hash that is the same in every process (FNV-1a, 32 bits).</summary>
    public static uint StableHash(string text)
    {
        uint hash = 2166136261;
        foreach (char c in text)
            hash = (hash ^ c) * 16777619;
        return hash ^ (hash >> 15);
    }
}

using System.Buffers.Binary;

namespace Kvasir.Synthesis.Fuzzing;

/// <summary>Damages a file's bytes at random, mostly within its header.</summary>
internal static class Mutation
{
    // Sizes that overflow something: signs, products with small sizes, all ones.
    private static readonly ulong[] Extremes =
        [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, 0x1FFFFFFFFFFFFFFF, 0x4000000000000000, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFE0];

    /// <summary>A damaged copy and what was done to it.</summary>
    public static (byte[] Bytes, string What) Apply(byte[] original, int headerBytes, Random random)
    {
        var bytes = (byte[])original.Clone();
        var what = "";
        for (var i = random.Next(1, 4); i > 0; i--)
        {
            (bytes, var step) = Once(bytes, headerBytes, random);
            what += step + "; ";
        }
        return (bytes, what);
    }

    private static (byte[] Bytes, string What) Once(byte[] bytes, int headerBytes, Random random)
    {
        var header = Math.Min(headerBytes, bytes.Length);
        var at = random.Next(10) == 0 ? random.Next(bytes.Length) : random.Next(header);
        switch (random.Next(8))
        {
            case 0: return (bytes[..Math.Max(1, random.Next(2) == 0 ? at : random.Next(bytes.Length))], "truncated");
            case 1:
                bytes[at] ^= (byte)(1 << random.Next(8));
                return (bytes, $"bit at {at}");
            case 2:
                bytes[at] = (byte)random.Next(256);
                return (bytes, $"byte at {at}");
            case 3 or 4 when bytes.Length >= at + 8:
                BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), Extremes[random.Next(Extremes.Length)]);
                return (bytes, $"extreme of 64 bits at {at}");
            case 5 when bytes.Length >= at + 4:
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), (uint)Extremes[random.Next(Extremes.Length)]);
                return (bytes, $"extreme of 32 bits at {at}");
            case 6:
                var removed = Math.Min(random.Next(1, 32), bytes.Length - at);
                return bytes.Length > removed ? ([.. bytes[..at], .. bytes[(at + removed)..]], $"{removed} bytes removed at {at}") : (bytes, "");
            default:
                var from = random.Next(header);
                var length = Math.Min(random.Next(1, 64), bytes.Length - from);
                return ([.. bytes[..at], .. bytes[from..(from + length)], .. bytes[at..]], $"{length} bytes of {from} repeated at {at}");
        }
    }

    /// <summary>Damages JSON by replacing one of its values or names.</summary>
    public static (byte[] Bytes, string What) ApplyToJson(byte[] original, Random random)
    {
        string[] values =
            ["null", "-1", "0", "1e308", "1e-308", "99999999999999999999", "2147483647", "2147483648", "\"\"", "\"x\"", "[]", "{}", "true", "[[[[]]]]", "0.5", "[1e999]", "NaN"];
        var text = System.Text.Encoding.UTF8.GetString(original);
        var colons = Enumerable.Range(0, text.Length).Where(i => text[i] == ':').ToArray();
        if (colons.Length == 0 || random.Next(3) == 0) return Apply(original, original.Length, random);
        var start = colons[random.Next(colons.Length)] + 1;
        var end = start;
        for (var depth = 0; end < text.Length; end++)
        {
            if (text[end] is '[' or '{') depth++;
            else if (text[end] is ']' or '}' && depth-- == 0) break;
            else if (text[end] == ',' && depth == 0) break;
        }
        var value = values[random.Next(values.Length)];
        return (System.Text.Encoding.UTF8.GetBytes(text[..start] + value + text[Math.Min(end, text.Length)..]), $"{text[Math.Max(0, start - 24)..start]} {value}");
    }
}

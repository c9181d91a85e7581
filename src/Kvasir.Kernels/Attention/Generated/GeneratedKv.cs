namespace Kvasir.Kernels.Generated;

/// <summary>The kernels of one format of keys and values, written when first asked for, and how calls are split among them.</summary>
/// <param name="kernels">Whose kernels.</param>
/// <param name="format">How keys or values are stored.</param>
internal sealed unsafe class GeneratedKv(GeneratedKernels kernels, KvFormat format)
{
    private const int Widths = 3;

    private readonly Lock _lock = new();
    private nint[]? _keys;
    private nint[]? _values;

    /// <summary>Makes the kernels of keys now.</summary>
    public void WarmKeys() => Keys();

    /// <summary>Makes the kernels of values now.</summary>
    public void WarmValues() => Values();

    /// <inheritdoc cref="MatrixKernels.Score"/>
    public void Score(KernelArguments* a, int rows)
    {
        var code = Keys();
        if (KvLayout.IsQuantized(format))
        {
            var form = KvLayout.KeyForm(format);
            a->Group = *a->Blocks;
            a->ScaleBytes = KvLayout.ScaleBytes((int)a->Steps);
            a->Steps = (a->Steps + 31) / 32;
            GeneratedKernels.Call(code[Slot(rows, 0)], a);
            return;
        }

        Split(code, a, rows, (byte*)a->Blocks, sizeof(byte*), least: 1);
    }

    /// <inheritdoc cref="MatrixKernels.AddValues"/>
    public void AddValues(KernelArguments* a, int rows)
    {
        var quantized = KvLayout.IsQuantized(format);
        a->ScaleBytes = KvLayout.ScaleBytes((int)a->Groups * 16);
        // Groups go by their offset in a block: scales of 32 values take 32 bytes.
        Split(Values(), a, rows, null, quantized ? 16 : 256 * KvLayout.ElementBytes(format), quantized ? 2 : 1);
    }

    /// <summary>As many groups as there are kernels for at once, then the rest.</summary>
    private void Split(nint[] code, KernelArguments* a, int rows, byte* first, long bytes, int least)
    {
        var left = a->Groups;
        var output = a->Output;
        for (var width = Widths - 1; width >= 0 && left > 0; width--)
        {
            var groups = 1L << width;
            if (groups < least || left < groups || code[Slot(rows, width)] == 0) continue;
            a->Group = first;
            a->Output = output;
            (a->GroupBytes, a->Groups, a->OutputGroupStride) = (bytes * groups, left / groups, 64 * groups);
            var done = left / groups * groups;
            GeneratedKernels.Call(code[Slot(rows, width)], a);
            first += done * bytes;
            output += done * 16;
            left -= done;
        }
    }

    private int Slot(int rows, int width) => width * (kernels.MaxTokens + 1) + rows;

    private nint[] Keys() => Volatile.Read(ref _keys) ?? Generate(ref _keys, KvLayout.IsQuantized(format)
        ? (rows, width) => width == 0 ? kernels.WriteListed(KvLayout.KeyForm(format), rows) : null
        : (rows, width) => kernels.WriteKeys(format, rows, 1 << width));

    private nint[] Values() => Volatile.Read(ref _values) ?? Generate(ref _values, (rows, width) =>
        width == 0 && KvLayout.IsQuantized(format) ? null : kernels.WriteValues(format, rows, 1 << width));

    private nint[] Generate(ref nint[]? made, Func<int, int, KernelFrame?> write)
    {
        lock (_lock)
        {
            if (made is not null) return made;
            var written = new List<(int, byte[])>();
            for (var rows = 1; rows <= kernels.MaxTokens; rows++)
                for (var width = 0; width < Widths; width++)
                    if (write(rows, width) is { } frame) written.Add((Slot(rows, width), frame.Assemble()));
            return made = GeneratedKernels.Place(written, Widths * (kernels.MaxTokens + 1));
        }
    }
}

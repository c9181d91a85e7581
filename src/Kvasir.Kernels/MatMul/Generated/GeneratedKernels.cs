namespace Kvasir.Kernels.Generated;

/// <summary>
/// Kernels written as machine code at start, for what .NET does not expose. One per form and number of tokens, made when
/// a matrix of that form is first described.
/// </summary>
internal abstract unsafe class GeneratedKernels : MatrixKernels
{
    /// <summary>Calls whose weights are at most this large are too short to be worth letting the collector in.</summary>
    private const long ShortCallBytes = 16 << 10;

    private static readonly int FormatCount = (int)Enum.GetValues<WeightFormat>()[^1] + 1;

    // [format][variant · (most tokens + 1) + tokens]
    private readonly nint[]?[] _code = new nint[FormatCount][];
    private readonly Lock _lock = new();
    private readonly GeneratedKv[] _kv;

    protected GeneratedKernels() => _kv = Array.ConvertAll(Enum.GetValues<KvFormat>(), format => new GeneratedKv(this, format));

    /// <summary>What a float kernel does beside one group after the other.</summary>
    protected enum Variant
    {
        /// <summary>Nothing.</summary>
        Single,
        /// <summary>Two groups at once.</summary>
        Pairs,
        /// <summary>Adds to the output.</summary>
        Adding,
    }

    /// <summary>Most tokens for which groups go in pairs.</summary>
    protected abstract int MostTokensOfPairs { get; }

    protected abstract KernelFrame WriteFloat(WeightFormat format, int tokens, Variant variant);

    protected abstract KernelFrame WriteQuantized(PackedForm form, int tokens);

    /// <summary>The same over a list of groups.</summary>
    public abstract KernelFrame WriteListed(PackedForm form, int tokens);

    /// <summary>The kernel of keys without scales; null where there is none for so many blocks at once.</summary>
    public abstract KernelFrame? WriteKeys(KvFormat format, int rows, int blocks);

    /// <summary>The kernel of values; null where there is none for so many groups at once.</summary>
    public abstract KernelFrame? WriteValues(KvFormat format, int rows, int groups);

    public override void Warm(PackedForm form) => Code(form);

    public override void Multiply(PackedForm form, KernelArguments* arguments, int tokens)
    {
        var code = Code(form);
        if (!form.IsFloat || arguments->Groups == 1 || tokens > MostTokensOfPairs)
        {
            Call(code[Slot(tokens, Variant.Single)], arguments);
            return;
        }

        var groups = arguments->Groups;
        arguments->Groups = groups / 2;
        Call(code[Slot(tokens, Variant.Pairs)], arguments);
        if (groups % 2 == 0) return;
        arguments->Group += (groups - 1) * arguments->GroupBytes;
        arguments->Output = (float*)((byte*)arguments->Output + (groups - 1) * arguments->OutputGroupStride);
        arguments->Groups = 1;
        Call(code[Slot(tokens, Variant.Single)], arguments);
    }

    public override void MultiplyAdd(PackedForm form, KernelArguments* arguments, int tokens) => Call(Code(form)[Slot(tokens, Variant.Adding)], arguments);

    public override void Score(KvFormat format, KernelArguments* a, int rows) => _kv[(int)format].Score(a, rows);

    public override void AddValues(KvFormat format, KernelArguments* a, int rows) => _kv[(int)format].AddValues(a, rows);

    public override void Warm(KvFormats formats)
    {
        _kv[(int)formats.Keys].WarmKeys();
        _kv[(int)formats.Values].WarmValues();
    }

    private int Slot(int tokens, Variant variant) => (int)variant * (MaxTokens + 1) + tokens;

    public static void Call(nint code, KernelArguments* arguments)
    {
        if (arguments->Groups * arguments->GroupBytes <= ShortCallBytes)
            ((delegate* unmanaged[SuppressGCTransition]<KernelArguments*, void>)code)(arguments);
        else
            ((delegate* unmanaged<KernelArguments*, void>)code)(arguments);
    }

    private nint[] Code(PackedForm form) => Volatile.Read(ref _code[(int)form.Format]) ?? Generate(form);

    private nint[] Generate(PackedForm form)
    {
        lock (_lock)
        {
            if (_code[(int)form.Format] is { } made) return made;
            var kernels = new List<(int Slot, byte[] Code)>();
            for (var tokens = 1; tokens <= MaxTokens; tokens++)
            {
                if (!form.IsFloat)
                {
                    kernels.Add((tokens, WriteQuantized(form, tokens).Assemble()));
                    continue;
                }

                foreach (var variant in (ReadOnlySpan<Variant>)[Variant.Single, Variant.Pairs, Variant.Adding])
                    if (variant != Variant.Pairs || tokens <= MostTokensOfPairs)
                        kernels.Add((Slot(tokens, variant), WriteFloat(form.Format, tokens, variant).Assemble()));
            }

            return _code[(int)form.Format] = Place(kernels, 3 * (MaxTokens + 1));
        }
    }

    /// <summary>Makes kernels executable; slots without one are 0.</summary>
    public static nint[] Place(List<(int Slot, byte[] Code)> kernels, int count)
    {
        var all = new byte[kernels.Sum(static kernel => (kernel.Code.Length + 63) & ~63)];
        var slots = new nint[count];
        var at = 0;
        foreach (var (slot, code) in kernels)
        {
            code.CopyTo(all, at);
            slots[slot] = at;
            at += (code.Length + 63) & ~63;
        }

        var start = ExecutableMemory.Place(all);
        if (start == 0) throw new InsufficientMemoryException($"The system refused {all.Length} bytes of executable memory; set {KernelCatalog.Variable}=avx2 to do without.");
        foreach (var (slot, _) in kernels) slots[slot] += start;
        return slots;
    }
}

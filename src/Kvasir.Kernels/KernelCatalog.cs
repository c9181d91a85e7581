using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Kvasir.Kernels.Generated;

namespace Kvasir.Kernels;

/// <summary>A way of computing matrix products.</summary>
/// <param name="Name">Its name, as in the environment variable KVASIR_KERNELS.</param>
/// <param name="IsAvailable">Whether this machine can run it.</param>
/// <param name="Reason">Why it ranks where it does, or why it cannot run here.</param>
public sealed record KernelStrategy(string Name, bool IsAvailable, string Reason);

/// <summary>The strategies, best first. The first available one is used, or the one KVASIR_KERNELS names.</summary>
public static class KernelCatalog
{
    /// <summary>Environment variable that forces a strategy by name.</summary>
    public const string Variable = "KVASIR_KERNELS";

    private static readonly (Func<MatrixKernels> Create, KernelStrategy Strategy)[] Table = Build();

    private static readonly Lazy<MatrixKernels> Chosen = new(Choose);

    /// <summary>Every strategy, best first.</summary>
    public static IReadOnlyList<KernelStrategy> Strategies { get; } = Array.ConvertAll(Table, static row => row.Strategy);

    /// <summary>Name of the strategy in use. Throws <see cref="PlatformNotSupportedException"/> when KVASIR_KERNELS names none that runs here.</summary>
    public static string CurrentName => Current.Name;

    internal static MatrixKernels Current => Chosen.Value;

    internal static MatrixKernels Create(string name)
    {
        foreach (var (create, strategy) in Table)
            if (strategy.Name == name && strategy.IsAvailable) return create();
        var known = string.Join(", ", Strategies.Where(static s => s.IsAvailable).Select(static s => s.Name));
        throw new PlatformNotSupportedException($"{Variable}={name} is not a kernel strategy of this machine; choose one of: {known}.");
    }

    private static MatrixKernels Choose() =>
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } forced
            ? Create(forced)
            : Create(Table.First(static row => row.Strategy.IsAvailable).Strategy.Name);

    private static (Func<MatrixKernels>, KernelStrategy)[] Build() =>
    [
        Generated512Row(),
        Generated256Row(),
        Row<AvxVnniDot>(AvxVnni.IsSupported, "256-bit VNNI: four int8 products per lane and instruction"),
        Row<Avx512Dot>(Avx512BW.IsSupported, "512-bit int8 products in two instructions"),
        Row<Avx2Dot>(Avx2.IsSupported && Fma.IsSupported, "256-bit int8 products in two instructions"),
        Row<NeonDot>(Dp.IsSupported, "Arm int8 dot product"),
        Row<NeonWideningDot>(AdvSimd.Arm64.IsSupported, "Arm without dot product: widening products"),
        Row<ScalarDot>(true, "the definition; runs everywhere"),
    ];

    private static (Func<MatrixKernels>, KernelStrategy) Generated512Row()
    {
        var obstacle = Generated512.Obstacle();
        var bfloat16 = obstacle is null && Generated512.DetectBFloat16();
        var reason = $"machine code made at start: 512-bit VNNI, F16 conversion{(bfloat16 ? ", BF16 products" : "")}";
        return (() => new Generated512(bfloat16), new KernelStrategy(Generated512.StrategyName, obstacle is null, obstacle ?? reason));
    }

    private static (Func<MatrixKernels>, KernelStrategy) Generated256Row()
    {
        var obstacle = Generated256.Obstacle();
        var products = Generated256.Detect();
        var reason = $"machine code made at start: 256-bit {(products == ByteProducts.Pairs ? "int8 products in pairs" : "VNNI")}, F16 conversion";
        return (() => new Generated256(products), new KernelStrategy(Generated256.StrategyName, obstacle is null, obstacle ?? reason));
    }

    private static (Func<MatrixKernels>, KernelStrategy) Row<TDot>(bool available, string reason) where TDot : struct, IBlockDot =>
        (static () => new PortableKernels<TDot>(),
            new KernelStrategy(TDot.Name, available, available ? reason : $"{reason}; not on this processor"));
}

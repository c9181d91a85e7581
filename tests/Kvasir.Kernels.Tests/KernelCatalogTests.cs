using System.Diagnostics;

namespace Kvasir.Kernels.Tests;

public sealed class KernelCatalogTests
{
    private const string Nested = "KVASIR_NESTED_TEST";

    [Fact]
    public void The_first_available_strategy_is_used_unless_one_is_forced()
    {
        var forced = Environment.GetEnvironmentVariable(KernelCatalog.Variable);
        Assert.Equal(forced ?? KernelCatalog.Strategies.First(s => s.IsAvailable).Name, KernelCatalog.CurrentName);
        Assert.Contains(KernelCatalog.Strategies, s => s is { Name: "scalar", IsAvailable: true });
        Assert.All(KernelCatalog.Strategies, s => Assert.NotEmpty(s.Reason));
    }

    [Fact]
    public void An_unknown_strategy_is_refused_with_the_names_of_those_that_run_here()
    {
        var failure = Assert.Throws<PlatformNotSupportedException>(() => KernelCatalog.Create("quantum"));
        Assert.Contains("quantum", failure.Message, StringComparison.Ordinal);
        Assert.Contains("scalar", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("DOTNET_EnableAVX512", "0")]
    [InlineData("DOTNET_EnableAVX2", "0")]
    [InlineData("DOTNET_EnableHWIntrinsic", "0")]
    [InlineData(KernelCatalog.Variable, "avx2")]
    public async Task Everything_holds_with_fewer_instruction_sets(string variable, string value)
    {
        Assert.SkipWhen(Environment.GetEnvironmentVariable(Nested) is not null, "Already inside such a process.");
        Assert.SkipWhen(value == "avx2" && !KernelCatalog.Strategies.Any(s => s is { Name: "avx2", IsAvailable: true }), "No AVX2 here.");
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet") start.ArgumentList.Add(typeof(KernelCatalogTests).Assembly.Location);
        foreach (var argument in new[] { "-noLogo", "-noColor", "-class-", typeof(KernelCatalogTests).FullName!, "-class-", typeof(WorkerTeamTests).FullName! })
            start.ArgumentList.Add(argument);
        start.Environment[variable] = value;
        start.Environment[Nested] = "1";
        using var child = Process.Start(start)!;
        var errors = child.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await child.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(child.ExitCode == 0, output + await errors);
        Assert.DoesNotContain("Total: 0", output, StringComparison.Ordinal);
    }
}

using Kvasir.Gateway.Fleet;
using Kvasir.Gateway.Requests;
using Kvasir.Gateway.Routing;

namespace Kvasir.Gateway.Tests.Routing;

public sealed class CacheViewTests
{
    private static readonly PromptTokens Prompt = PromptTokens.Of([.. Enumerable.Range(0, 100)]);

    [Theory]
    [InlineData("a", 96)]
    [InlineData("b", 0)]
    public void Of_a_worker_with_several_models_what_one_holds_is_not_believed_of_another(string model, int expected)
    {
        using var caches = new CacheView(1, TimeProvider.System);
        var worker = WorkerOf("a", "b");
        Assert.Equal(0, Predict(caches, worker, "a"));
        caches.Confirm(worker, Prompt.For("a", null));
        Assert.Equal(expected, Predict(caches, worker, model));
    }

    [Fact]
    public void Where_there_is_one_model_a_request_need_not_name_it()
    {
        using var caches = new CacheView(1, TimeProvider.System);
        var worker = WorkerOf("a");
        caches.Confirm(worker, Prompt.For("a", null));
        Assert.Equal(96, Predict(caches, worker, null));
    }

    private static Worker WorkerOf(params string[] models) =>
        new(0, new WorkerAddress { Name = "w", Address = new Uri("http://127.0.0.1:1") }, TimeProvider.System) { Models = [.. models] };

    private static double Predict(CacheView caches, Worker worker, string? model)
    {
        var (device, slower) = (new double[1], new double[1]);
        caches.Predict(Prompt.For(model, null), [worker], device, slower);
        return device[0];
    }
}

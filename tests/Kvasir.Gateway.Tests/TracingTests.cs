using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kvasir.Gateway.Tests;

/// <summary>What a collector receives of a request that two workers were tried for.</summary>
public sealed class TracingTests
{
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736", Parent = "00f067aa0ba902b7";

    [Fact]
    public async Task A_collector_receives_one_span_per_worker_tried_under_the_clients_trace()
    {
        Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        await using var collector = await Receiver.StartAsync();
        string? seen;
        await using (var fleet = await TestFleet.StartAsync(2, i => TestFleet.Fast with { ErrorShare = i == 0 ? 1 : 0 }, options => options with { Collector = collector.Address, Policy = "round-robin" }))
        {
            // The request's own span ends a moment after its answer. Who listens last hears of it when the exporter has it.
            var ended = new TaskCompletionSource();
            using var listener = new ActivityListener
            {
                ShouldListenTo = source => source.Name == "Microsoft.AspNetCore",
                ActivityStopped = activity => _ = activity.ParentSpanId.ToHexString() == Parent && ended.TrySetResult(),
            };
            ActivitySource.AddActivityListener(listener);
            using var response = await AskAsync(fleet);
            await ended.Task.WaitAsync(TimeSpan.FromSeconds(30));
            Assert.Equal("w1", response.Headers.GetValues("x-kvasir-worker").Single());
            seen = fleet.Workers[1].LastTraceParent;
        }
        // What is still in the gateway when it stops is sent.
        var spans = collector.Spans.Where(span => span.Trace == Trace).ToArray();
        var server = Assert.Single(spans, span => span.ParentId == Parent);
        var tries = spans.Where(span => span.Name == "forward").OrderBy(span => span.Tags["kvasir.attempt"], StringComparer.Ordinal).ToArray();
        // The mock workers are in this process: their own spans hang from those of the tries.
        Assert.Equal([.. tries.Select(span => span.Id).Order()], spans.Except(tries).Where(span => span != server).Select(span => span.ParentId).Order());
        Assert.Equal(["w0", "w1"], tries.Select(span => span.Tags["kvasir.worker"]));
        Assert.All(tries, span => Assert.Equal(server.Id, span.ParentId));
        Assert.Equal((true, false), (tries[0].IsError, tries[1].IsError));
        Assert.Equal($"00-{Trace}-{tries[1].Id}-01", seen);
        var (failed, answered) = (tries[0].Tags, tries[1].Tags);
        Assert.Equal(("answered 500", "200"), (failed["kvasir.outcome"], answered["kvasir.outcome"]));
        Assert.Equal(("traced", "round-robin", "1", "mock"), (answered["kvasir.request"], answered["kvasir.policy"], answered["kvasir.candidates"], answered["gen_ai.request.model"]));
        Assert.True(int.Parse(answered["gen_ai.usage.input_tokens"]) > 0);
        Assert.All((string[])["kvasir.cached_tokens.predicted", "kvasir.cached_tokens.actual", "kvasir.first_token_seconds"], tag => Assert.Contains(tag, answered.Keys));
        Assert.Contains(collector.Metrics, metrics => Encoding.Latin1.GetString(metrics).Contains("kvasir_gateway_requests", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_a_collector_the_clients_trace_goes_on_to_the_worker_as_it_is()
    {
        await using var fleet = await TestFleet.StartAsync(1);
        using var response = await AskAsync(fleet);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal($"00-{Trace}-{Parent}-01", fleet.Workers[0].LastTraceParent);
    }

    private static Task<HttpResponseMessage> AskAsync(TestFleet fleet) => fleet.SendAsync(HttpMethod.Post, "/v1/completions",
        System.Net.Http.Json.JsonContent.Create(new { model = "mock", prompt = TestFleet.Text(1, 2000), max_tokens = 2 }), ("traceparent", $"00-{Trace}-{Parent}-01"), ("x-request-id", "traced"));

    private sealed record Span(string Trace, string Id, string ParentId, string Name, IReadOnlyDictionary<string, string> Tags, bool IsError);

    /// <summary>Takes what exporters send over HTTP, as <c>opentelemetry/proto/collector/trace/v1</c> describes it.</summary>
    private sealed class Receiver : IAsyncDisposable
    {
        private readonly WebApplication app;

        private Receiver(WebApplication app) => this.app = app;

        public ConcurrentQueue<Span> Spans { get; } = [];

        public ConcurrentQueue<byte[]> Metrics { get; } = [];

        public Uri Address { get; private set; } = new("http://localhost");

        public static async Task<Receiver> StartAsync()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            builder.Services.AddRouting();
            var receiver = new Receiver(builder.Build());
            receiver.app.MapPost("/v1/traces", async (HttpContext http) => Read(await BodyAsync(http), receiver.Spans));
            receiver.app.MapPost("/v1/metrics", async (HttpContext http) => receiver.Metrics.Enqueue(await BodyAsync(http)));
            await receiver.app.StartAsync();
            receiver.Address = new Uri(receiver.app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
            return receiver;
        }

        public ValueTask DisposeAsync() => app.DisposeAsync();

        private static async Task<byte[]> BodyAsync(HttpContext http)
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body);
            return body.ToArray();
        }

        private static void Read(byte[] request, ConcurrentQueue<Span> spans)
        {
            foreach (var resource in Fields(request, 1))
                foreach (var scope in Fields(resource, 2))
                    foreach (var span in Fields(scope, 2))
                        spans.Enqueue(new Span(Hex(span, 1), Hex(span, 2), Hex(span, 4), Text(span, 5), Fields(span, 9).ToDictionary(tag => Text(tag, 1), tag => Value(Fields(tag, 2).Single())),
                            Fields(span, 15).Any(status => Number(status, 3) == 2)));
        }

        private static string Hex(byte[] message, int field) => Convert.ToHexStringLower(Fields(message, field).SingleOrDefault() ?? []);

        private static string Text(byte[] message, int field) => Encoding.UTF8.GetString(Fields(message, field).SingleOrDefault() ?? []);

        private static ulong? Number(byte[] message, int field) => All(message).Where(item => item.Field == field && item.Bytes is null).Select(item => (ulong?)item.Number).SingleOrDefault();

        /// <summary>A text, a whole number or a double, as text.</summary>
        private static string Value(byte[] value) => Number(value, 3)?.ToString() ?? (Number(value, 4) is { } bits ? BitConverter.UInt64BitsToDouble(bits).ToString() : Text(value, 1));

        private static IEnumerable<byte[]> Fields(byte[] message, int field) => All(message).Where(item => item.Field == field && item.Bytes is not null).Select(item => item.Bytes!);

        private static IEnumerable<(int Field, ulong Number, byte[]? Bytes)> All(byte[] message)
        {
            for (var at = 0; at < message.Length;)
            {
                var tag = Varint(message, ref at);
                var field = (int)(tag >> 3);
                switch (tag & 7)
                {
                    case 0: yield return (field, Varint(message, ref at), null); break;
                    case 1: yield return (field, BitConverter.ToUInt64(message, at), null); at += 8; break;
                    case 2:
                        var length = (int)Varint(message, ref at);
                        yield return (field, 0, message[at..(at + length)]);
                        at += length;
                        break;
                    case 5: yield return (field, BitConverter.ToUInt32(message, at), null); at += 4; break;
                    default: throw new InvalidDataException($"Wire type {tag & 7} at {at}.");
                }
            }
        }

        private static ulong Varint(byte[] message, ref int at)
        {
            ulong value = 0;
            for (var shift = 0; ; shift += 7)
            {
                value |= (ulong)(message[at] & 0x7F) << shift;
                if ((message[at++] & 0x80) == 0) return value;
            }
        }
    }
}

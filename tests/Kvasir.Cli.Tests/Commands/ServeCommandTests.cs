using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Kvasir.Cli.Tests.Fixtures;

namespace Kvasir.Cli.Tests.Commands;

public sealed class ServeCommandTests(CommandLine line)
{
    [Fact]
    public async Task Without_a_model_the_demo_is_served_until_SIGTERM()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "SIGTERM is sent by kill.");
        using var process = CommandLine.Start(new() { ["KVASIR_DEMO"] = line.Gguf }, "serve", "--port", "0", "--memory", "1GiB", "--context", "256", "--threads", "1");
        try
        {
            var banner = await BannerAsync(process);
            Assert.Contains("weights", banner, StringComparison.Ordinal);
            Assert.Contains("KV cache", banner, StringComparison.Ordinal);
            Assert.DoesNotContain('\x1b', banner);
            using var http = new HttpClient { BaseAddress = new Uri(banner[banner.IndexOf("http://", StringComparison.Ordinal)..].Split(' ')[0]) };
            var body = """{"messages":[{"role":"user","content":"Hi"}],"max_tokens":3}""";
            using var response = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), new StringContent(body, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json")));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.InRange((int)(await response.Content.ReadFromJsonAsync<JsonNode>())!["usage"]!["completion_tokens"]!, 1, 3);
            Assert.Contains("service_name=\"kvasir\"", await http.GetStringAsync(new Uri("/metrics", UriKind.Relative)), StringComparison.Ordinal);
            using var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
            Assert.True(process.WaitForExit(TimeSpan.FromSeconds(30)));
            Assert.Equal(0, process.ExitCode);
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    [Fact]
    public async Task Several_models_are_served_and_asked_for_by_name()
    {
        using var process = CommandLine.Start([], "serve", line.Gguf, line.HuggingFace, "--port", "0", "--memory", "1GiB", "--context", "256", "--threads", "1");
        try
        {
            var banner = await BannerAsync(process);
            Assert.StartsWith("2 models, 1 awake at a time", banner, StringComparison.Ordinal);
            Assert.Contains("never more than 8", banner, StringComparison.Ordinal);
            using var http = new HttpClient { BaseAddress = new Uri(banner[banner.IndexOf("http://", StringComparison.Ordinal)..].Split(' ')[0]) };
            foreach (var model in (string[])["tiny-hf", "tiny", "tiny-hf"])
            {
                var body = $$"""{"model":"{{model}}","messages":[{"role":"user","content":"Hi"}],"max_tokens":3}""";
                using var response = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), new StringContent(body, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json")));
                Assert.Equal((HttpStatusCode.OK, model), (response.StatusCode, (string?)(await response.Content.ReadFromJsonAsync<JsonNode>())!["model"]));
            }
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    [Theory]
    [InlineData(2, "--awake 2 says how many of several models", "--awake", "2")]
    [InlineData(2, "2 models are named 'tiny'", "tiny.gguf", "tiny.gguf")]
    [InlineData(2, "There are 2 models, but 1 names", "tiny.gguf", "tiny-hf", "--served-model-name", "one")]
    [InlineData(2, "3 models would be awake at a time (--awake), but there are 2", "tiny.gguf", "tiny-hf", "--awake", "3")]
    [InlineData(2, "--kv-events does not say whose blocks", "tiny.gguf", "tiny-hf", "--kv-events", "tcp://127.0.0.1:*")]
    [InlineData(2, "--model-wait-seconds 0 is not between 1", "tiny.gguf", "tiny-hf", "--model-wait-seconds", "0")]
    [InlineData(1, "'tiny' needs ", "tiny.gguf", "tiny-hf", "--memory", "210MiB", "--awake", "2")]
    public void What_several_models_cannot_do_is_named(int code, string expected, params string[] arguments)
    {
        var outcome = CommandLine.Run(["serve", .. arguments.Select(argument => argument.StartsWith("tiny", StringComparison.Ordinal) ? line.Path(argument) : argument), "--port", "0"]);
        Assert.Equal(code, outcome.Code);
        Assert.Contains(expected, outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_port_that_is_taken_is_named_with_another_to_try()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);
        var outcome = CommandLine.Run("serve", line.Gguf, "--port", port);
        Assert.Equal(1, outcome.Code);
        Assert.Contains(port, outcome.Error, StringComparison.Ordinal);
        Assert.Contains("--port", outcome.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "--port 70000 is not between 0 and 65535", "--port", "70000")]
    [InlineData(2, "--host 'here' is not an address", "--host", "here")]
    [InlineData(2, "--max-body 'huge' is not a size", "--max-body", "huge")]
    [InlineData(2, "number of sequences is 0", "--max-seqs", "0")]
    [InlineData(1, "'/no/keys' does not exist", "--api-key-file", "/no/keys")]
    [InlineData(1, "Raise --memory", "--memory", "1MiB")]
    public void What_is_wrong_is_named_with_what_would_be_right(int code, string expected, params string[] flags)
    {
        var outcome = CommandLine.Run(["serve", line.Gguf, .. flags.Contains("--port") ? flags : ["--port", "0", .. flags]]);
        Assert.Equal(code, outcome.Code);
        Assert.Contains(expected, outcome.Error.Replace("/private", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    private static async Task<string> BannerAsync(Process process)
    {
        var banner = "";
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (await process.StandardOutput.ReadLineAsync(patience.Token) is { } text)
        {
            banner += text + "\n";
            if (text.StartsWith("Listening on ", StringComparison.Ordinal)) return banner;
        }
        throw new InvalidOperationException($"The server did not start: {banner}{await process.StandardError.ReadToEndAsync(CancellationToken.None)}");
    }
}

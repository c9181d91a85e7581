using System.Buffers.Binary;
using System.Net;
using System.Text;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.Remote;
using Kvasir.Checkpoints.Safetensors;
using Kvasir.Synthesis;

namespace Kvasir.Checkpoints.Tests.Remote;

public sealed class HeaderMirrorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(30) };

    public void Dispose()
    {
        _http.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Safetensors_are_described_without_their_weights(int shards)
    {
        var folder = _folder.File("model");
        Directory.CreateDirectory(folder);
        SyntheticCheckpoint.WriteHuggingFace(folder, SyntheticModel.Tiny(SyntheticFamily.Llama) with { Vocabulary = 8192 }, shards);
        using var server = new FileServer(folder);
        using var mirror = await HeaderMirror.OfSafetensorsAsync(_http, server.Address);
        using var both = new Pair(Checkpoint.Open(folder), Checkpoint.Open(mirror.Path));
        var (local, remote) = both;
        Assert.Equal(local.AllTensors.OrderBy(tensor => tensor.Name), remote.AllTensors.OrderBy(tensor => tensor.Name), Same);
        Assert.Equal(local.FileBytes, remote.FileBytes);
        Assert.Equal(local.Spec.Layers.Length, remote.Spec.Layers.Length);
        Assert.Equal(mirror.BytesFetched, server.BytesSent);
    }

    [Fact]
    public async Task Of_a_terabyte_a_few_kilobytes_travel()
    {
        const long tensorBytes = 1L << 40;
        var folder = _folder.File("huge");
        SyntheticCheckpoint.WriteHuggingFace(folder, SyntheticModel.Tiny(SyntheticFamily.Llama));
        WriteHole(Path.Combine(folder, "model.safetensors"), $$$"""{"w":{"dtype":"BF16","shape":[{{{tensorBytes / 2}}}],"data_offsets":[0,{{{tensorBytes}}}]}}""", tensorBytes);
        using var server = new FileServer(folder);
        using var mirror = await HeaderMirror.OfSafetensorsAsync(_http, server.Address);
        Assert.True(server.BytesSent < 100_000, $"{server.BytesSent} bytes were sent");
        using var file = SafetensorsFile.Open(Path.Combine(mirror.Path, "model.safetensors"));
        Assert.Equal(tensorBytes, Assert.Single(file.Tensors).ByteLength);
    }

    [Fact]
    public async Task A_header_longer_than_the_first_part_is_fetched_in_two()
    {
        var folder = _folder.File("long");
        SyntheticCheckpoint.WriteHuggingFace(folder, SyntheticModel.Tiny(SyntheticFamily.Llama));
        var tensors = string.Join(",", Enumerable.Range(0, 5000).Select(i => $$"""  "model.layers.{{i}}.mlp.down_proj.weight":{"dtype":"F32","shape":[1],"data_offsets":[{{4 * i}},{{4 * i + 4}}]}"""));
        WriteHole(Path.Combine(folder, "model.safetensors"), "{" + tensors + "}", 20_000);
        using var server = new FileServer(folder);
        using var mirror = await HeaderMirror.OfSafetensorsAsync(_http, server.Address);
        using var file = SafetensorsFile.Open(Path.Combine(mirror.Path, "model.safetensors"));
        Assert.Equal(5000, file.Tensors.Length);
    }

    [Fact]
    public async Task Of_GGUF_the_header_travels_and_at_most_as_much_again()
    {
        var path = _folder.File("model.gguf");
        SyntheticCheckpoint.Write(path, SyntheticModel.Tiny(SyntheticFamily.Qwen3) with { Vocabulary = 40000 });
        using (var grown = File.OpenWrite(path)) grown.SetLength(1L << 38);
        using var local = Checkpoint.Open(path);
        using var server = new FileServer(_folder.Path);
        using var mirror = await HeaderMirror.OfGgufAsync(_http, new Uri(server.Address, "model.gguf"));
        using var remote = Checkpoint.Open(mirror.Path);
        Assert.Equal(local.AllTensors, remote.AllTensors, Same);
        Assert.Equal(local.Tokenizer.VocabularySize, remote.Tokenizer.VocabularySize);
        using var file = GgufFile.Open(path);
        Assert.InRange(server.BytesSent, file.DataStart - 64, Math.Max(2 * file.DataStart, 2 * HeaderMirror.FirstBytes));
        Assert.Equal(server.BytesSent, mirror.BytesFetched);
    }

    [Fact]
    public async Task A_split_set_of_GGUF_is_mirrored_as_a_set()
    {
        var first = SyntheticCheckpoint.WriteGgufSplit(_folder.File("set"), SyntheticModel.Tiny(SyntheticFamily.Llama), 3);
        using var server = new FileServer(_folder.Path);
        using var mirror = await HeaderMirror.OfGgufAsync(_http, new Uri(server.Address, Path.GetFileName(first)));
        using var both = new Pair(Checkpoint.Open(first), Checkpoint.Open(mirror.Path));
        var (local, remote) = both;
        Assert.Equal(local.AllTensors, remote.AllTensors, Same);
    }

    [Fact]
    public async Task A_server_without_ranges_is_hung_up_on_after_the_header()
    {
        var folder = _folder.File("plain");
        SyntheticCheckpoint.WriteHuggingFace(folder, SyntheticModel.Tiny(SyntheticFamily.Llama));
        WriteHole(Path.Combine(folder, "model.safetensors"), """{"w":{"dtype":"F32","shape":[67108864],"data_offsets":[0,268435456]}}""", 1L << 28);
        using var server = new FileServer(folder) { IgnoresRanges = true };
        using var mirror = await HeaderMirror.OfSafetensorsAsync(_http, server.Address);
        Assert.True(mirror.BytesFetched < 200_000);
        // What the sockets between hold counts as sent.
        Assert.True(server.BytesSent < 1 << 26, $"{server.BytesSent} of {1L << 28} bytes were sent");
    }

    [Fact]
    public async Task Redirections_to_where_the_files_lie_are_followed()
    {
        SyntheticCheckpoint.Write(_folder.File("model.gguf"), SyntheticModel.Tiny(SyntheticFamily.Llama));
        using var server = new FileServer(_folder.Path) { Redirects = true };
        using var mirror = await HeaderMirror.OfGgufAsync(_http, new Uri(server.Address, "model.gguf"));
        using var remote = Checkpoint.Open(mirror.Path);
        Assert.NotEmpty(remote.AllTensors);
    }

    [Theory]
    [InlineData(HttpStatusCode.Unauthorized, "HF_TOKEN")]
    [InlineData(HttpStatusCode.TooManyRequests, "Wait")]
    [InlineData(HttpStatusCode.InternalServerError, "500")]
    public async Task Refusals_say_what_to_do(HttpStatusCode status, string expected)
    {
        using var server = new FileServer(_folder.Path) { AnswersAlways = status };
        var error = await Assert.ThrowsAsync<CheckpointException>(() => HeaderMirror.OfSafetensorsAsync(_http, server.Address));
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public async Task What_does_not_exist_is_named()
    {
        using var server = new FileServer(_folder.Path);
        Assert.Contains("config.json", (await Assert.ThrowsAsync<CheckpointException>(() => HeaderMirror.OfSafetensorsAsync(_http, server.Address))).Message);
        Assert.Contains("none.gguf", (await Assert.ThrowsAsync<CheckpointException>(() => HeaderMirror.OfGgufAsync(_http, new Uri(server.Address, "none.gguf")))).Message);
        Assert.Contains("-00001-of-00003", (await Assert.ThrowsAsync<CheckpointException>(() => HeaderMirror.OfGgufAsync(_http, new Uri(server.Address, "x-00002-of-00003.gguf")))).Message);
        var nobody = new Uri("http://127.0.0.1:1/");
        Assert.Contains("127.0.0.1:1", (await Assert.ThrowsAsync<CheckpointException>(() => HeaderMirror.OfSafetensorsAsync(_http, nobody))).Message);
    }

    [Theory]
    [InlineData("../escape.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("..")]
    [InlineData("a\\\\b")]
    public async Task An_index_that_leads_out_of_the_folder_is_refused(string shard)
    {
        File.WriteAllText(_folder.File("config.json"), "{}");
        File.WriteAllText(_folder.File("model.safetensors.index.json"), $$$"""{"weight_map":{"w":"{{{shard}}}"}}""");
        using var server = new FileServer(_folder.Path);
        Assert.Contains("damaged", (await Assert.ThrowsAsync<CheckpointException>(() => HeaderMirror.OfSafetensorsAsync(_http, server.Address))).Message);
    }

    [Fact]
    public async Task A_connection_that_breaks_off_is_an_error_and_no_half_model()
    {
        SyntheticCheckpoint.Write(_folder.File("model.gguf"), SyntheticModel.Tiny(SyntheticFamily.Llama));
        using var server = new FileServer(_folder.Path) { CutsShort = 100 };
        await Assert.ThrowsAsync<CheckpointException>(() => HeaderMirror.OfGgufAsync(_http, new Uri(server.Address, "model.gguf")));
    }

    [Fact]
    public async Task Damaged_headers_end_in_an_error_and_never_in_endless_fetching()
    {
        SyntheticCheckpoint.Write(_folder.File("model.gguf"), SyntheticModel.Tiny(SyntheticFamily.Llama));
        var good = File.ReadAllBytes(_folder.File("model.gguf"));
        using var server = new FileServer(_folder.Path);
        var random = new Random(7);
        for (var i = 0; i < 60; i++)
        {
            var bad = good.AsSpan(0, random.Next(8, good.Length)).ToArray();
            for (var j = 0; j < 4; j++) bad[random.Next(Math.Min(bad.Length, 400))] = (byte)random.Next(256);
            File.WriteAllBytes(_folder.File("bad.gguf"), bad);
            try
            {
                using var mirror = await HeaderMirror.OfGgufAsync(_http, new Uri(server.Address, "bad.gguf"));
                Assert.True(mirror.BytesFetched <= bad.Length);
            }
            catch (CheckpointException)
            {
                // What the walk does not see, the reader does.
            }
        }
    }

    private static void WriteHole(string path, string header, long dataBytes)
    {
        using var file = File.Create(path);
        var json = Encoding.UTF8.GetBytes(header);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        file.Write(length);
        file.Write(json);
        file.SetLength(8 + json.Length + dataBytes);
    }

    private static bool Same(TensorEntry left, TensorEntry right) =>
        (left.Name, left.Type, left.Rows, left.Columns, left.File, left.Offset) == (right.Name, right.Type, right.Rows, right.Columns, right.File, right.Offset);

    private sealed record Pair(Checkpoint Local, Checkpoint Remote) : IDisposable
    {
        public void Dispose()
        {
            Local.Dispose();
            Remote.Dispose();
        }
    }
}

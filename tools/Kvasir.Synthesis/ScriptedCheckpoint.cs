using System.Text;

namespace Kvasir.Synthesis;

/// <summary>What a scripted model says after one character.</summary>
/// <param name="Pieces">Texts, one token each; a part of a character is written by its bytes (see <see cref="Script.Bytes"/>).</param>
/// <param name="Repeats">Whether it begins again at the end, and so never ends.</param>
public sealed record Script(IReadOnlyList<ReadOnlyMemory<byte>> Pieces, bool Repeats = false)
{
    /// <summary>A script of whole texts that ends.</summary>
    public static Script Of(params string[] pieces) => new([.. pieces.Select(piece => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(piece))]);

    /// <summary>A script that ends, of a text cut into tokens of so many bytes.</summary>
    public static Script Bytes(string text, int size) => new([.. Encoding.UTF8.GetBytes(text).Chunk(size).Select(part => (ReadOnlyMemory<byte>)part)]);

    /// <summary>A script without end.</summary>
    public static Script Endless(params string[] pieces) => Of(pieces) with { Repeats = true };
}

/// <summary>
/// Writes a model of the Llama family that says exactly what it is told: the last character of the prompt chooses the script.
/// Every token's embedding has one 1, layers add nothing, and each output row looks for the one token it follows, so that
/// the scripted token gets a logit of √hidden and every other 0.
/// </summary>
public static class ScriptedCheckpoint
{
    /// <summary>The chat template: the messages' roles and texts, tools before them, nothing behind.</summary>
    public const string ChatTemplate =
        "{{ bos_token }}{% if tools %}{{ tools | tojson }}{% endif %}{% for message in messages %}"
        + "{% if message['content'] == 'refuse me' %}{{ raise_exception('Not in this house.') }}{% endif %}"
        + "<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}";

    private const int Heads = 4, HeadSize = 32, FeedForward = 64;

    /// <summary>Writes a GGUF file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="scripts">What to say after which ASCII character; after any other the model ends at once.</param>
    /// <param name="context">Trained positions.</param>
    public static void Write(string path, IReadOnlyDictionary<char, Script> scripts, int context = 4096)
    {
        var (pieces, next) = Chain(scripts);
        var tokenizer = new SyntheticTokenizer(pieces);
        var hidden = (tokenizer.Size + 255) / 256 * 256;
        var writer = new GgufWriter()
            .Text("general.architecture", "llama").Text("general.name", "Scripted").UInt32("general.file_type", 0)
            .UInt32("llama.context_length", context).UInt32("llama.embedding_length", hidden).UInt32("llama.block_count", 1)
            .UInt32("llama.feed_forward_length", FeedForward).UInt32("llama.attention.head_count", Heads).UInt32("llama.attention.head_count_kv", 1)
            .UInt32("llama.attention.key_length", HeadSize).UInt32("llama.attention.value_length", HeadSize).UInt32("llama.rope.dimension_count", HeadSize)
            .Float32("llama.attention.layer_norm_rms_epsilon", 1e-5).UInt32("llama.vocab_size", tokenizer.Size);
        tokenizer.Write(writer, ChatTemplate);
        var (embedding, output) = (new float[tokenizer.Size * hidden], new float[tokenizer.Size * hidden]);
        for (var token = 0; token < tokenizer.Size; token++)
        {
            embedding[token * hidden + token] = 1;
            output[next.GetValueOrDefault(token, SyntheticTokenizer.EndId) * hidden + token] = 1;
        }
        var ones = Enumerable.Repeat(1f, hidden).ToArray();
        writer.Tensor("token_embd.weight", [tokenizer.Size, hidden], embedding).Tensor("output.weight", [tokenizer.Size, hidden], output)
            .Tensor("output_norm.weight", [hidden], ones).Tensor("blk.0.attn_norm.weight", [hidden], ones).Tensor("blk.0.ffn_norm.weight", [hidden], ones);
        Silent("attn_q", Heads * HeadSize, hidden);
        Silent("attn_k", HeadSize, hidden);
        Silent("attn_v", HeadSize, hidden);
        Silent("attn_output", hidden, Heads * HeadSize);
        Silent("ffn_gate", FeedForward, hidden);
        Silent("ffn_up", FeedForward, hidden);
        Silent("ffn_down", hidden, FeedForward);
        writer.Write(path);

        void Silent(string name, int rows, int columns) => writer.Tensor($"blk.0.{name}.weight", [rows, columns], new float[rows * columns]);
    }

    /// <summary>One token per piece, and which token follows which.</summary>
    private static (List<ReadOnlyMemory<byte>> Pieces, Dictionary<int, int> Next) Chain(IReadOnlyDictionary<char, Script> scripts)
    {
        var pieces = new List<ReadOnlyMemory<byte>>();
        var next = new Dictionary<int, int>();
        foreach (var (character, script) in scripts)
        {
            var (first, previous) = (SyntheticTokenizer.FirstPieceId + pieces.Count, (int)character);
            foreach (var piece in script.Pieces)
            {
                var id = SyntheticTokenizer.FirstPieceId + pieces.Count;
                next[previous] = id;
                previous = id;
                pieces.Add(piece);
            }
            if (script.Repeats) next[previous] = first;
        }
        return (pieces, next);
    }
}

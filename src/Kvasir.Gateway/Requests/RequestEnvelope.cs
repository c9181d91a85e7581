using System.IO.Hashing;
using System.Text;
using System.Text.Json;

namespace Kvasir.Gateway.Requests;

/// <summary>
/// What routing needs of a request's body, read in one pass without building a document. The body itself goes to the
/// worker untouched.
/// </summary>
public sealed class RequestEnvelope
{
    private const int MostDepth = 64;
    private readonly List<(string Name, Range Value)> _templating = [];

    /// <summary>The asked model, or null.</summary>
    public string? Model { get; private set; }

    /// <summary>Whether the answer is to be streamed.</summary>
    public bool Stream { get; private set; }

    /// <summary>Whether the body has chat messages.</summary>
    public bool IsChat { get; private set; }

    /// <summary>Most tokens that the answer may have, or null.</summary>
    public int? MaxTokens { get; private set; }

    /// <summary>Who asks, by the body's own word (<c>user</c>), or null.</summary>
    public string? User { get; private set; }

    /// <summary>What keeps equal prompts apart (<c>cache_salt</c>), or null.</summary>
    public string? CacheSalt { get; private set; }

    /// <summary>The stored response that this one goes on from, or null.</summary>
    public string? PreviousResponse { get; private set; }

    /// <summary>The prompt as bytes that equal prefixes share: roles and contents of messages, or text. Empty where there is none.</summary>
    public ReadOnlyMemory<byte> Prompt { get; private set; }

    /// <summary>The prompt's token ids where the client gave them.</summary>
    public int[]? Tokens { get; private set; }

    /// <summary>Where messages or prompt lie in the body.</summary>
    public Range PromptRange { get; private set; }

    /// <summary>Where tools lie in the body.</summary>
    public Range Tools { get; private set; }

    /// <summary>Further fields that decide how messages become a prompt, as name and place in the body.</summary>
    public IReadOnlyList<(string Name, Range Value)> Templating => _templating;

    /// <summary>Whether a tokenizer that knows chat messages and texts can turn it into the tokens that its worker will compute.</summary>
    public bool IsTokenizable { get; private set; }

    /// <summary>Reads a body; a body that is not a JSON object has no model and no prompt, and its worker says what is wrong with it.</summary>
    public static RequestEnvelope Read(ReadOnlySpan<byte> body)
    {
        var envelope = new RequestEnvelope();
        try
        {
            envelope.ReadObject(body);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException)
        {
            return new RequestEnvelope();
        }
        return envelope;
    }

    private void ReadObject(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MostDepth });
        var (prompt, system) = (new PromptBytes(body.Length), default(PromptBytes));
        ReadOnlySpan<byte> tools = default;
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            switch (name)
            {
                case "messages":
                    IsChat = true;
                    prompt.Append(ref reader);
                    PromptRange = start..(int)reader.BytesConsumed;
                    break;
                // Elsewhere "text" says in what form an answer is wanted.
                case "prompt" or "input" or "input_ids" when !IsChat:
                case "text" when !IsChat && reader.TokenType == JsonTokenType.String:
                    // What is called input goes through a template that depends on the route.
                    IsTokenizable = name != "input" && reader.TokenType == JsonTokenType.String;
                    Tokens = ReadTokens(ref reader, ref prompt);
                    PromptRange = start..(int)reader.BytesConsumed;
                    break;
                // Where the system's words stand beside the messages they come before them.
                case "system" or "instructions":
                    if (system.IsEmpty) system = new PromptBytes(body.Length);
                    system.Append(ref reader);
                    break;
                case "tools":
                    reader.Skip();
                    Tools = start..(int)reader.BytesConsumed;
                    tools = body[Tools];
                    break;
                case "chat_template_kwargs" or "chat_template" or "add_generation_prompt" or "continue_final_message" or "add_special_tokens":
                    reader.Skip();
                    _templating.Add((name, start..(int)reader.BytesConsumed));
                    break;
                default: ReadSimple(ref reader, name); break;
            }
        }
        IsTokenizable = (IsChat || IsTokenizable) && system.IsEmpty;
        if (!system.IsEmpty) prompt = system.Then(prompt);
        // Templates put tools before messages, so other tools mean another beginning.
        Prompt = tools.IsEmpty ? prompt.Written : prompt.After(XxHash64.Hash(tools));
    }

    private void ReadSimple(ref Utf8JsonReader reader, string name)
    {
        switch (name)
        {
            case "model": Model = TextOf(ref reader); break;
            case "user": User = TextOf(ref reader); break;
            case "cache_salt": CacheSalt = TextOf(ref reader); break;
            case "previous_response_id": PreviousResponse = TextOf(ref reader); break;
            case "stream": Stream = reader.TokenType == JsonTokenType.True; break;
            case "max_tokens" or "max_completion_tokens" or "max_output_tokens" or "n_predict":
                if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var most)) MaxTokens = most;
                break;
            default: reader.Skip(); break;
        }
    }

    private static string? TextOf(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String) return reader.GetString();
        reader.Skip();
        return null;
    }

    private static int[]? ReadTokens(ref Utf8JsonReader reader, ref PromptBytes prompt)
    {
        var ahead = reader;
        if (ahead.TokenType != JsonTokenType.StartArray || !ahead.Read() || ahead.TokenType != JsonTokenType.Number)
        {
            prompt.Append(ref reader);
            return null;
        }
        var tokens = new List<int>();
        while (reader.Read() && reader.TokenType == JsonTokenType.Number) tokens.Add(reader.GetInt32());
        return [.. tokens];
    }

    /// <summary>Collects the strings of a value, with a mark before each so that boundaries count.</summary>
    private struct PromptBytes(int size)
    {
        private readonly byte[] _bytes = new byte[size + 8];
        private int _used = 8;

        public readonly bool IsEmpty => _used <= 8;

        public readonly PromptBytes Then(in PromptBytes other)
        {
            var both = new PromptBytes(_used + other._used) { _used = _used + other._used - 8 };
            _bytes.AsSpan(0, _used).CopyTo(both._bytes);
            other._bytes.AsSpan(8, other._used - 8).CopyTo(both._bytes.AsSpan(_used));
            return both;
        }

        public readonly ReadOnlyMemory<byte> Written => _bytes.AsMemory(8, _used - 8);

        public readonly ReadOnlyMemory<byte> After(ReadOnlySpan<byte> seed)
        {
            seed.CopyTo(_bytes);
            return _bytes.AsMemory(0, _used);
        }

        public void Append(ref Utf8JsonReader reader)
        {
            var depth = reader.CurrentDepth;
            var nested = reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject;
            do
            {
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
                {
                    _bytes[_used++] = (byte)reader.TokenType;
                    reader.ValueSpan.CopyTo(_bytes.AsSpan(_used));
                    _used += reader.ValueSpan.Length;
                }
            }
            while (nested && reader.Read() && reader.CurrentDepth > depth);
        }
    }
}

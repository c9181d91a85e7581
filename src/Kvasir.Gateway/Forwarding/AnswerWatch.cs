using System.Buffers.Text;

namespace Kvasir.Gateway.Forwarding;

/// <summary>
/// Looks at an answer's bytes as they pass, for the usage that the worker reports at the end. Only the tail is kept;
/// nothing is parsed while tokens flow.
/// </summary>
internal sealed class AnswerWatch
{
    private const int TailBytes = 2048;
    private readonly byte[] _tail = new byte[TailBytes];
    private int _used;

    /// <summary>Bytes that passed.</summary>
    public long Bytes { get; private set; }

    public void Pass(ReadOnlySpan<byte> bytes)
    {
        Bytes += bytes.Length;
        if (bytes.Length >= TailBytes)
        {
            bytes[^TailBytes..].CopyTo(_tail);
            _used = TailBytes;
            return;
        }
        var keep = Math.Min(_used, TailBytes - bytes.Length);
        _tail.AsSpan(_used - keep, keep).CopyTo(_tail);
        bytes.CopyTo(_tail.AsSpan(keep));
        _used = keep + bytes.Length;
    }

    /// <summary>Prompt tokens and how many of them were cached, where the answer ended with a usage.</summary>
    public (int? Prompt, int? Cached, int? Completion) Usage()
    {
        var tail = _tail.AsSpan(0, _used);
        return (NumberAfter(tail, "\"prompt_tokens\":"u8) ?? NumberAfter(tail, "\"input_tokens\":"u8), NumberAfter(tail, "\"cached_tokens\":"u8),
            NumberAfter(tail, "\"completion_tokens\":"u8) ?? NumberAfter(tail, "\"output_tokens\":"u8));
    }

    private static int? NumberAfter(ReadOnlySpan<byte> text, ReadOnlySpan<byte> name)
    {
        var at = text.LastIndexOf(name);
        return at >= 0 && Utf8Parser.TryParse(text[(at + name.Length)..].TrimStart((byte)' '), out int number, out _) ? number : null;
    }
}

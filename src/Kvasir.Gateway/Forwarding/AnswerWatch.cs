using System.Buffers.Text;

namespace Kvasir.Gateway.Forwarding;

/// <summary>
/// Looks at an answer's bytes as they pass, for the usage that the worker reports at the end. Only the tail is kept;
/// nothing is parsed while tokens flow.
/// </summary>
internal sealed class AnswerWatch
{
    private const int TailBytes = 2048;
    private byte[]? _tail;
    private (int? Prompt, int? Cached, int? Completion) _whole;
    private int _used;

    /// <summary>Bytes that passed.</summary>
    public long Bytes { get; private set; }

    /// <summary>The answer came at once: nothing of it need be kept.</summary>
    public void PassWhole(ReadOnlySpan<byte> bytes)
    {
        Bytes += bytes.Length;
        _whole = UsageIn(bytes[^Math.Min(bytes.Length, TailBytes)..]);
    }

    public void Pass(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        Bytes += bytes.Length;
        _tail ??= new byte[TailBytes];
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
    public (int? Prompt, int? Cached, int? Completion) Usage() => _tail is null ? _whole : UsageIn(_tail.AsSpan(0, _used));

    private static (int? Prompt, int? Cached, int? Completion) UsageIn(ReadOnlySpan<byte> tail)
    {
        return (NumberAfter(tail, "\"prompt_tokens\":"u8) ?? NumberAfter(tail, "\"input_tokens\":"u8), NumberAfter(tail, "\"cached_tokens\":"u8),
            NumberAfter(tail, "\"completion_tokens\":"u8) ?? NumberAfter(tail, "\"output_tokens\":"u8));
    }

    private static int? NumberAfter(ReadOnlySpan<byte> text, ReadOnlySpan<byte> name)
    {
        var at = text.LastIndexOf(name);
        return at >= 0 && Utf8Parser.TryParse(text[(at + name.Length)..].TrimStart((byte)' '), out int number, out _) ? number : null;
    }
}

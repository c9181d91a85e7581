using System.Buffers.Binary;
using Kvasir.Checkpoints.Gguf;

namespace Kvasir.Checkpoints.Remote;

/// <summary>
/// Walks through a GGUF header that arrives in parts, to know where it ends: only its last byte tells. What the header
/// says is checked later, when it is read as a file.
/// </summary>
/// <param name="file">The remote file.</param>
/// <param name="arrived">Its first bytes.</param>
/// <param name="grow">Takes over further bytes of the header as they arrive.</param>
internal sealed class GgufHeaderWalk(RemoteFile file, byte[] arrived, Action<long, byte[]> grow)
{
    // Vocabularies of a quarter million words make headers of some ten megabytes.
    private const long LargestHeader = 256L << 20;
    private const int LargestStep = 4 << 20;

    private byte[] _window = arrived;
    private long _windowStart;
    private long _end = arrived.Length;
    private long _position;

    /// <summary>Fetches until the header is whole; returns where it ends, before the padding.</summary>
    public async Task<long> RunAsync(CancellationToken cancel)
    {
        if (await UInt32Async(cancel).ConfigureAwait(false) != GgufFile.Magic) throw new CheckpointException($"{file.Address} is not a GGUF file: it does not begin with \"GGUF\".");
        await UInt32Async(cancel).ConfigureAwait(false);
        var tensors = await UInt64Async(cancel).ConfigureAwait(false);
        var keys = await UInt64Async(cancel).ConfigureAwait(false);
        for (var i = 0ul; i < keys; i++)
        {
            await SkipTextAsync(cancel).ConfigureAwait(false);
            await SkipValueAsync((GgufKind)await UInt32Async(cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
        }
        for (var i = 0ul; i < tensors; i++)
        {
            await SkipTextAsync(cancel).ConfigureAwait(false);
            var dimensions = await UInt32Async(cancel).ConfigureAwait(false);
            // Sizes, the type, the offset.
            Skip(dimensions * 8ul + 4 + 8);
        }
        await DemandAsync(0, cancel).ConfigureAwait(false);
        return _position;
    }

    private async Task SkipValueAsync(GgufKind kind, CancellationToken cancel)
    {
        var count = 1ul;
        if (kind == GgufKind.Array)
        {
            kind = (GgufKind)await UInt32Async(cancel).ConfigureAwait(false);
            count = await UInt64Async(cancel).ConfigureAwait(false);
        }
        if (kind is GgufKind.Array or > GgufKind.Float64) throw Damaged();
        if (kind != GgufKind.Text)
        {
            if (count > (ulong)LargestHeader) throw Damaged();
            Skip(count * (ulong)GgufValue.FixedBytes(kind));
            return;
        }
        for (var i = 0ul; i < count; i++) await SkipTextAsync(cancel).ConfigureAwait(false);
    }

    private async ValueTask SkipTextAsync(CancellationToken cancel) => Skip(await UInt64Async(cancel).ConfigureAwait(false));

    private void Skip(ulong bytes)
    {
        if (bytes > (ulong)LargestHeader) throw Damaged();
        _position += (long)bytes;
    }

    private async ValueTask<uint> UInt32Async(CancellationToken cancel)
    {
        await DemandAsync(4, cancel).ConfigureAwait(false);
        var value = BinaryPrimitives.ReadUInt32LittleEndian(_window.AsSpan((int)(_position - _windowStart)));
        _position += 4;
        return value;
    }

    private async ValueTask<ulong> UInt64Async(CancellationToken cancel)
    {
        await DemandAsync(8, cancel).ConfigureAwait(false);
        var value = BinaryPrimitives.ReadUInt64LittleEndian(_window.AsSpan((int)(_position - _windowStart)));
        _position += 8;
        return value;
    }

    /// <summary>Makes sure that the bytes up to the position and <paramref name="more"/> have arrived.</summary>
    private async ValueTask DemandAsync(int more, CancellationToken cancel)
    {
        var needed = _position + more;
        if (needed > file.Length || needed > LargestHeader) throw Damaged();
        while (_end < needed)
        {
            // As much again as has arrived: few requests, and never more than twice the header.
            var step = (int)Math.Min(Math.Clamp(_end, 1 << 16, LargestStep), file.Length - _end);
            var part = await file.ReadAsync(_end, step, cancel).ConfigureAwait(false);
            grow(_end, part);
            var keep = _position < _end ? _window.AsSpan((int)(_position - _windowStart)) : default;
            var joined = new byte[keep.Length + part.Length];
            keep.CopyTo(joined);
            part.CopyTo(joined, keep.Length);
            (_window, _windowStart) = (joined, _end - keep.Length);
            _end += part.Length;
        }
    }

    private CheckpointException Damaged() =>
        new($"{file.Address}: the header does not end within the file's {file.Length} bytes, or is damaged at offset {_position}.");
}

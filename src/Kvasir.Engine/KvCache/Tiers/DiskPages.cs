using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Kvasir.Engine.KvCache.Tiers;

/// <summary>What a page is: the block's name, what it follows, and its tokens.</summary>
/// <param name="Name">Name of the block.</param>
/// <param name="Parent">Name of the one before it.</param>
/// <param name="Tokens">16 tokens.</param>
/// <param name="Claim">Whose it is.</param>
internal readonly record struct PageLabel(UInt128 Name, UInt128 Parent, int[] Tokens, BlockClaim Claim = default);

/// <summary>
/// The files of a disk tier. <c>pages</c> holds payloads at multiples of a page's size; <c>index</c> a header and 256 bytes
/// per page: label, checksums, order of writing. A page is overwritten by clearing its entry, writing the payload, then
/// the entry: whoever dies in between leaves an empty page or one whose checksum tells. <c>lock</c> is held while in use.
/// Entries and payloads may be sealed with AES-GCM. One thread may read while another writes, each its own pages.
/// </summary>
internal sealed class DiskPages : IDisposable
{
    private const uint EntryMagic = 0x3145_564B;
    private const int Version = 2, EntryBytes = 256, NonceBytes = 12, TagBytes = 16;
    private const int ChecksumAt = 8, StampAt = 16, PayloadSealAt = 24, LabelSealAt = 52, LabelAt = 80, ClaimAt = 16 + 16 + (4 * BlockTable.BlockTokens), LabelBytes = ClaimAt + 16 + 8 + 8 + 1, EntryChecksumAt = EntryBytes - 8;
    private const int Alignment = 4096;

    private readonly FileStream _lock;
    private readonly SafeFileHandle _index, _pages;
    private readonly AesGcm? _seal, _unseal; // One for each thread.
    private readonly TimeProvider _time;
    private readonly int _payloadBytes;
    private readonly long _pageBytes;
    private readonly ulong[] _checksums;
    private readonly byte[]?[] _seals;
    private readonly bool[] _written;
    private long _stamp;

    private DiskPages(FileStream locked, SafeFileHandle index, SafeFileHandle pages, byte[]? key, int payloadBytes, int count, TimeProvider time)
    {
        (_lock, _index, _pages, _payloadBytes, _time) = (locked, index, pages, payloadBytes, time);
        if (key is not null) (_seal, _unseal) = (new AesGcm(key, TagBytes), new AesGcm(key, TagBytes));
        (_pageBytes, _checksums, _seals, _written) = (PageBytes(payloadBytes), new ulong[count], new byte[count][], new bool[count]);
    }

    /// <summary>Bytes on disk of a page and its entry.</summary>
    public static long BytesPerPage(int payloadBytes) => PageBytes(payloadBytes) + EntryBytes;

    /// <summary>Bytes of the books in memory per page: checksum, seal and a mark.</summary>
    public static int MemoryPerPage(bool isSealed) => 8 + 8 + 1 + (isSealed ? 24 + NonceBytes + TagBytes + 4 : 0);

    /// <summary>Opens or creates the files in a folder.</summary>
    /// <param name="folder">Theirs alone.</param>
    /// <param name="digest">Names the model and the form of its blocks; files of another are emptied.</param>
    /// <param name="payloadBytes">Bytes of a block.</param>
    /// <param name="count">Most pages.</param>
    /// <param name="key">32 bytes that seal what is written, or null.</param>
    /// <param name="time">The clock, by which hints of retention end; the system's when null.</param>
    /// <exception cref="KvTierException">The folder is in use, cannot be written, or was sealed with another key.</exception>
    public static DiskPages Open(string folder, UInt128 digest, int payloadBytes, int count, byte[]? key, TimeProvider? time = null)
    {
        FileStream? locked = null;
        SafeFileHandle? index = null, pages = null;
        try
        {
            Directory.CreateDirectory(folder);
            try
            {
                locked = new FileStream(Path.Combine(folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException error) when (error is not (DirectoryNotFoundException or PathTooLongException))
            {
                throw new KvTierException($"The KV tier's folder '{folder}' is in use by another process. End that one, or give each its own folder with --kv-disk.", error);
            }
            index = OpenFile(folder, "index");
            pages = OpenFile(folder, "pages");
            var opened = new DiskPages(locked, index, pages, key, payloadBytes, count, time ?? TimeProvider.System);
            opened.CheckHeader(folder, digest, key);
            return opened;
        }
        catch (Exception error)
        {
            pages?.Dispose();
            index?.Dispose();
            locked?.Dispose();
            if (error is IOException or UnauthorizedAccessException)
                throw new KvTierException($"The KV tier's folder '{folder}' cannot be used: {error.Message} Give a folder that can be written with --kv-disk.", error);
            throw;
        }
    }

    /// <summary>The pages whose entries are whole, oldest first. Their payloads are checked when they are read.</summary>
    public List<(int Page, PageLabel Label)> ReadEntries()
    {
        var found = new List<(long Stamp, int Page, PageLabel Label)>();
        var entries = new byte[EntryBytes * 1024];
        for (var first = 0; first < _checksums.Length; first += 1024)
        {
            var read = ReadFully(_index, entries, EntryOffset(first));
            for (var i = 0; i < read / EntryBytes && first + i < _checksums.Length; i++)
                if (ReadEntry(first + i, entries.AsSpan(i * EntryBytes, EntryBytes)) is { } entry) found.Add((entry.Stamp, first + i, entry.Label));
            if (read < entries.Length) break;
        }
        found.Sort((a, b) => a.Stamp.CompareTo(b.Stamp));
        _stamp = found.Count > 0 ? found[^1].Stamp : 0;
        return [.. found.Select(entry => (entry.Page, entry.Label))];
    }

    /// <summary>Writes a page. Throws <see cref="IOException"/> when the disk refuses; the page is empty then.</summary>
    /// <param name="page">Its number.</param>
    /// <param name="label">What it is.</param>
    /// <param name="payload">The block; overwritten when it is sealed.</param>
    public void Write(int page, in PageLabel label, Span<byte> payload)
    {
        Clear(page);
        var entry = new byte[EntryBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(entry, EntryMagic);
        BinaryPrimitives.WriteInt64LittleEndian(entry.AsSpan(StampAt), ++_stamp);
        var body = entry.AsSpan(LabelAt, LabelBytes);
        BinaryPrimitives.WriteUInt128LittleEndian(body, label.Name);
        BinaryPrimitives.WriteUInt128LittleEndian(body[16..], label.Parent);
        MemoryMarshal.AsBytes(label.Tokens.AsSpan()).CopyTo(body[32..]);
        WriteClaim(body[ClaimAt..], label.Claim);
        Seal(entry.AsSpan(LabelSealAt, NonceBytes + TagBytes), body, page);
        Seal(entry.AsSpan(PayloadSealAt, NonceBytes + TagBytes), payload, page);
        var checksum = XxHash64.HashToUInt64(payload);
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(ChecksumAt), checksum);
        BinaryPrimitives.WriteUInt64LittleEndian(entry.AsSpan(EntryChecksumAt), XxHash64.HashToUInt64(entry.AsSpan(0, EntryChecksumAt)));
        RandomAccess.Write(_pages, payload, page * _pageBytes);
        _written[page] = true;
        RandomAccess.Write(_index, entry, EntryOffset(page));
        _checksums[page] = checksum;
        _seals[page] = _seal is null ? null : entry[PayloadSealAt..(PayloadSealAt + NonceBytes + TagBytes)];
    }

    /// <summary>Reads a page; false when what is there is not what was written.</summary>
    public bool TryRead(int page, Span<byte> payload)
    {
        try
        {
            if (ReadFully(_pages, payload, page * _pageBytes) < payload.Length || XxHash64.HashToUInt64(payload) != _checksums[page]) return false;
            if (_unseal is not null && _seals[page] is { } seal) _unseal.Decrypt(seal.AsSpan(0, NonceBytes), payload, seal.AsSpan(NonceBytes), payload, Associated(page));
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Empties a page's entry.</summary>
    public void Clear(int page)
    {
        if (!_written[page]) return;
        RandomAccess.Write(_index, stackalloc byte[4], EntryOffset(page));
        _written[page] = false;
    }

    public void Dispose()
    {
        _pages.Dispose();
        _index.Dispose();
        _lock.Dispose();
        _seal?.Dispose();
        _unseal?.Dispose();
    }

    private static long PageBytes(int payloadBytes) => ((long)payloadBytes + Alignment - 1) / Alignment * Alignment;

    private static long EntryOffset(int page) => (page + 1L) * EntryBytes;

    private static SafeFileHandle OpenFile(string folder, string name) =>
        File.OpenHandle(Path.Combine(folder, name), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);

    private static int ReadFully(SafeFileHandle file, Span<byte> to, long offset)
    {
        var read = 0;
        while (read < to.Length && RandomAccess.Read(file, to[read..], offset + read) is var more and > 0) read += more;
        return read;
    }

    private static byte[] Associated(int page) => BitConverter.GetBytes(page);

    private void Seal(Span<byte> seal, Span<byte> bytes, int page)
    {
        if (_seal is null) return;
        RandomNumberGenerator.Fill(seal[..NonceBytes]);
        _seal.Encrypt(seal[..NonceBytes], bytes, bytes, seal[NonceBytes..], Associated(page));
    }

    private (long Stamp, PageLabel Label)? ReadEntry(int page, Span<byte> entry)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(entry) != EntryMagic) return null;
        _written[page] = true;
        if (BinaryPrimitives.ReadUInt64LittleEndian(entry[EntryChecksumAt..]) != XxHash64.HashToUInt64(entry[..EntryChecksumAt])) return null;
        var body = entry.Slice(LabelAt, LabelBytes);
        if (_unseal is not null)
        {
            var seal = entry.Slice(LabelSealAt, NonceBytes + TagBytes);
            try
            {
                _unseal.Decrypt(seal[..NonceBytes], body, seal[NonceBytes..], body, Associated(page));
            }
            catch (CryptographicException)
            {
                return null;
            }
            _seals[page] = entry.Slice(PayloadSealAt, NonceBytes + TagBytes).ToArray();
        }
        _checksums[page] = BinaryPrimitives.ReadUInt64LittleEndian(entry[ChecksumAt..]);
        var tokens = new int[BlockTable.BlockTokens];
        body[32..ClaimAt].CopyTo(MemoryMarshal.AsBytes(tokens.AsSpan()));
        return (BinaryPrimitives.ReadInt64LittleEndian(entry[StampAt..]),
            new PageLabel(BinaryPrimitives.ReadUInt128LittleEndian(body), BinaryPrimitives.ReadUInt128LittleEndian(body[16..]), tokens, ReadClaim(body[ClaimAt..])));
    }

    /// <summary>Root, owner, second since 1970 in which the hint ends (0 without one), priority.</summary>
    private void WriteClaim(Span<byte> to, in BlockClaim claim)
    {
        BinaryPrimitives.WriteUInt128LittleEndian(to, claim.Root);
        BinaryPrimitives.WriteUInt64LittleEndian(to[16..], claim.Owner);
        if (claim.Retention is not { } hint) return;
        BinaryPrimitives.WriteInt64LittleEndian(to[24..], (_time.GetUtcNow() + hint.Time).ToUnixTimeSeconds());
        to[32] = (byte)hint.Priority;
    }

    private BlockClaim ReadClaim(ReadOnlySpan<byte> from)
    {
        var left = TimeSpan.FromSeconds(Math.Clamp(BinaryPrimitives.ReadInt64LittleEndian(from[24..]) - _time.GetUtcNow().ToUnixTimeSeconds(), 0, (long)KvRetention.MostTime.TotalSeconds));
        return new BlockClaim(BinaryPrimitives.ReadUInt128LittleEndian(from), BinaryPrimitives.ReadUInt64LittleEndian(from[16..]),
            left > TimeSpan.Zero ? new KvRetention(Math.Min(from[32], (byte)KvRetention.HighestPriority), left) : null);
    }

    /// <summary>Header: what the files are for, and a digest of the key that seals them.</summary>
    private void CheckHeader(string folder, UInt128 digest, byte[]? key)
    {
        var wanted = new byte[EntryBytes];
        "KVASIRKV"u8.CopyTo(wanted);
        BinaryPrimitives.WriteInt32LittleEndian(wanted.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(wanted.AsSpan(12), _payloadBytes);
        BinaryPrimitives.WriteUInt128LittleEndian(wanted.AsSpan(16), digest);
        if (key is not null) HMACSHA256.HashData(key, "kvasir kv tier"u8, wanted.AsSpan(32, 32));
        var there = new byte[EntryBytes];
        var read = ReadFully(_index, there, 0);
        if (read == EntryBytes && there.AsSpan().SequenceEqual(wanted))
        {
            // A smaller budget than last time gives back what lies beyond it.
            if (RandomAccess.GetLength(_index) > EntryOffset(_checksums.Length)) RandomAccess.SetLength(_index, EntryOffset(_checksums.Length));
            if (RandomAccess.GetLength(_pages) > _checksums.Length * _pageBytes) RandomAccess.SetLength(_pages, _checksums.Length * _pageBytes);
            return;
        }
        if (read == EntryBytes && there.AsSpan(0, 32).SequenceEqual(wanted.AsSpan(0, 32)))
            throw new KvTierException($"The KV tier's folder '{folder}' was written with {(key is null ? "a key, and none was given" : "another key, or without one")}. Give that key with --kv-disk-key, or remove the folder.");
        RandomAccess.SetLength(_index, 0);
        RandomAccess.SetLength(_pages, 0);
        RandomAccess.Write(_index, wanted, 0);
    }
}

/// <summary>A KV tier cannot be opened. The message says why and what to do.</summary>
public sealed class KvTierException(string message, Exception? inner = null) : Exception(message, inner);

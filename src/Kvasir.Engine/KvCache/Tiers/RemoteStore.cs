using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using StackExchange.Redis;

namespace Kvasir.Engine.KvCache.Tiers;

/// <summary>
/// Blocks as values of a Redis server. A value is 8 bytes of checksum, the block's parent and tokens, and its bytes; its
/// key holds the model's digest and the block's name. Values expire; the server may evict them at any time.
/// </summary>
internal sealed class RemoteStore : IDisposable
{
    /// <summary>Longest wait for an answer.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    private const int ParentAt = 8, TokensAt = 24, PayloadAt = TokensAt + (4 * BlockTable.BlockTokens);
    private const int KeysPerQuestion = 512;

    private readonly ConnectionMultiplexer _redis;
    private readonly IDatabase _database;
    private readonly TimeSpan _timeToLive;
    private readonly string _prefix;

    private RemoteStore(ConnectionMultiplexer redis, TimeSpan timeToLive, UInt128 digest)
    {
        (_redis, _database, _timeToLive) = (redis, redis.GetDatabase(), timeToLive);
        _prefix = $"kvasir:kv:{digest.ToString("x32", CultureInfo.InvariantCulture)}:";
    }

    /// <summary>Connects, or goes on trying beside everything else when the server does not answer.</summary>
    /// <param name="options">Where.</param>
    /// <param name="digest">Names the model and the form of its blocks.</param>
    public static RemoteStore Open(KvRemoteOptions options, UInt128 digest)
    {
        var address = options.Address;
        var configuration = new ConfigurationOptions
        {
            EndPoints = { { address.IdnHost, address.IsDefaultPort || address.Port < 0 ? 6379 : address.Port } },
            Ssl = address.Scheme == "rediss",
            AbortOnConnectFail = false,
            ConnectTimeout = (int)Timeout.TotalMilliseconds,
            AsyncTimeout = (int)Timeout.TotalMilliseconds,
            ClientName = "kvasir",
        };
        if (address.UserInfo.Split(':', 2) is [var user, var password])
        {
            if (user.Length > 0) configuration.User = Uri.UnescapeDataString(user);
            configuration.Password = Uri.UnescapeDataString(password);
        }
        if (int.TryParse(address.AbsolutePath.Trim('/'), CultureInfo.InvariantCulture, out var database)) configuration.DefaultDatabase = database;
        return new RemoteStore(ConnectionMultiplexer.Connect(configuration), options.TimeToLive, digest);
    }

    /// <summary>Whether an exception means that the server does not do as asked.</summary>
    public static bool IsFailure(Exception error) => error is RedisException or TimeoutException or System.Net.Sockets.SocketException;

    /// <summary>Stores a block unless it is there.</summary>
    /// <returns>Whether it was not there.</returns>
    public async Task<bool> PutAsync(PageLabel label, byte[] payload)
    {
        var bytes = PayloadAt + payload.Length;
        var value = ArrayPool<byte>.Shared.Rent(bytes);
        Write(label, value);
        payload.CopyTo(value, PayloadAt);
        BinaryPrimitives.WriteUInt64LittleEndian(value, XxHash64.HashToUInt64(value.AsSpan(ParentAt, bytes - ParentAt)));
        // After a failure the client may still be reading it: only then it is not given back.
        var isNew = await _database.StringSetAsync(Key(label), value.AsMemory(0, bytes), _timeToLive, When.NotExists).ConfigureAwait(false);
        ArrayPool<byte>.Shared.Return(value);
        return isNew;
    }

    /// <summary>How many of the blocks are there, from the first without a gap.</summary>
    public async Task<int> CountAsync(IReadOnlyList<PageLabel> labels)
    {
        for (var from = 0; from < labels.Count; from += KeysPerQuestion)
        {
            var asked = Enumerable.Range(from, Math.Min(KeysPerQuestion, labels.Count - from)).Select(i => _database.KeyExistsAsync(Key(labels[i]))).ToArray();
            var there = await Task.WhenAll(asked).ConfigureAwait(false);
            if (Array.IndexOf(there, false) is var gap and >= 0) return from + gap;
        }
        return labels.Count;
    }

    /// <summary>Reads a block into a buffer; false when it is not there or not what was stored.</summary>
    public async Task<bool> TryGetAsync(PageLabel label, Memory<byte> payload)
    {
        using var lease = await _database.StringGetLeaseAsync(Key(label)).ConfigureAwait(false);
        if (lease is null || lease.Length != PayloadAt + payload.Length) return false;
        var value = lease.Memory;
        if (BinaryPrimitives.ReadUInt64LittleEndian(value.Span) != XxHash64.HashToUInt64(value.Span[ParentAt..])) return false;
        var expected = new byte[PayloadAt];
        Write(label, expected);
        if (!value.Span[ParentAt..PayloadAt].SequenceEqual(expected.AsSpan(ParentAt))) return false;
        value[PayloadAt..].CopyTo(payload);
        return true;
    }

    /// <summary>Removes every block of this model.</summary>
    public async Task ClearAsync()
    {
        foreach (var server in _redis.GetServers())
        {
            if (!server.IsConnected || server.IsReplica) continue;
            await foreach (var key in server.KeysAsync(_database.Database, _prefix + "*").ConfigureAwait(false))
                await _database.KeyDeleteAsync(key).ConfigureAwait(false);
        }
    }

    public void Dispose() => _redis.Dispose();

    private RedisKey Key(PageLabel label) => _prefix + label.Name.ToString("x32", CultureInfo.InvariantCulture);

    private static void Write(PageLabel label, Span<byte> value)
    {
        BinaryPrimitives.WriteUInt128LittleEndian(value[ParentAt..], label.Parent);
        MemoryMarshal.AsBytes(label.Tokens.AsSpan()).CopyTo(value[TokensAt..]);
    }
}

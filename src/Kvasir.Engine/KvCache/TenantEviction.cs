namespace Kvasir.Engine.KvCache;

/// <summary>
/// Puts tenants' shares before a policy: while one has more idle blocks than its share of the pool and others have any, its
/// oldest goes first; else the policy chooses. So nobody's texts are pushed out by the mass of another's. O(1). For one
/// thread: the engine's.
/// </summary>
public sealed class TenantEviction : IEvictionPolicy
{
    /// <summary>Bytes per block: links and whose it is.</summary>
    public const int BytesPerBlock = 16 + 8;

    /// <summary>Tenants told apart; the blocks of further ones count as one tenant's.</summary>
    private const int MostTenants = 4096;

    private readonly IEvictionPolicy _policy;
    private readonly int _share;
    private readonly BlockLinks _links;
    private readonly Account?[] _accounts;
    private readonly Dictionary<ulong, Account> _byTenant = [];
    private readonly Account _others = new(0);
    // Those that had more than their share when they were put here; whoever has not any more is taken out when it is met.
    private readonly Stack<Account> _above = new();

    /// <param name="policy">The order within a share.</param>
    /// <param name="blocks">Blocks of the pool.</param>
    /// <param name="share">Share of them, above 0 to 1, that one tenant may keep while others have any.</param>
    public TenantEviction(IEvictionPolicy policy, int blocks, double share) =>
        (_policy, _share, _links, _accounts) = (policy, (int)Math.Ceiling(share * blocks), new BlockLinks(blocks), new Account?[blocks]);

    /// <inheritdoc/>
    public int Count => _policy.Count;

    /// <summary>Says on whose account a held block is kept.</summary>
    public void Own(int block, ulong tenant) => _accounts[block] = AccountOf(tenant);

    /// <summary>On whose account a block is kept; 0 for nobody's.</summary>
    public ulong OwnerOf(int block) => _accounts[block]?.Tenant ?? 0;

    /// <inheritdoc/>
    public void Add(int block, UInt128 name)
    {
        var account = _accounts[block] ?? _others;
        _links.Append(account.Idle, block);
        if (account.Idle.Count > _share && !account.IsAbove)
        {
            account.IsAbove = true;
            _above.Push(account);
        }
        _policy.Add(block, name);
    }

    /// <inheritdoc/>
    public void Reuse(int block)
    {
        if (_links.ListOf(block) is not null) _links.Remove(block);
        _policy.Reuse(block);
    }

    /// <inheritdoc/>
    public void Drop(int block)
    {
        _links.Remove(block);
        _policy.Drop(block);
    }

    /// <inheritdoc/>
    public int Evict()
    {
        while (_above.TryPeek(out var account))
        {
            if (account.Idle.Count <= _share)
            {
                account.IsAbove = false;
                _above.Pop();
                continue;
            }
            // Alone, a tenant loses what the policy says.
            if (account.Idle.Count == Count) break;
            var oldest = account.Idle.First;
            Drop(oldest);
            return oldest;
        }
        var block = _policy.Evict();
        if (block >= 0) _links.Remove(block);
        return block;
    }

    private Account AccountOf(ulong tenant)
    {
        if (_byTenant.TryGetValue(tenant, out var account)) return account;
        if (_byTenant.Count >= MostTenants)
        {
            foreach (var (name, known) in _byTenant)
                if (known.Idle.Count == 0) _byTenant.Remove(name);
            if (_byTenant.Count >= MostTenants) return _others;
        }
        return _byTenant[tenant] = new Account(tenant);
    }

    private sealed class Account(ulong tenant)
    {
        public ulong Tenant => tenant;
        public BlockList Idle { get; } = new();
        public bool IsAbove { get; set; }
    }
}

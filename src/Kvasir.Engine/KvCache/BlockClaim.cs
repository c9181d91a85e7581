namespace Kvasir.Engine.KvCache;

/// <summary>Whose a block is and how long it is wanted: goes with it from tier to tier.</summary>
/// <param name="Root">What its text begins with, and so who may find it.</param>
/// <param name="Owner">Digest of the tenant on whose account it is kept; 0 for nobody's.</param>
/// <param name="Retention">How long it is wanted from now on; null without a hint.</param>
internal readonly record struct BlockClaim(UInt128 Root, ulong Owner, KvRetention? Retention);

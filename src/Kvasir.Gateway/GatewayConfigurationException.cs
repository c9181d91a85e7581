namespace Kvasir.Gateway;

/// <summary>What the gateway was told cannot be; the message names the thing, the value and what to write instead.</summary>
public sealed class GatewayConfigurationException(string message, Exception? inner = null) : Exception(message, inner);

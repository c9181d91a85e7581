using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kvasir.Protocol.Memory;

/// <summary>Writes and reads answers about memory: snake_case, as OpenAI's are.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(MemoryAnswer))]
[JsonSerializable(typeof(KvList))]
[JsonSerializable(typeof(KvPinned))]
[JsonSerializable(typeof(KvUnpinned))]
[JsonSerializable(typeof(SleepState))]
[JsonSerializable(typeof(KvDeleted))]
public sealed partial class MemoryJson : JsonSerializerContext
{
    /// <summary>The instance to use.</summary>
    public static MemoryJson Wire { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}

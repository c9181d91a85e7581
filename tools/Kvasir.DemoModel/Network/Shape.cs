namespace Kvasir.DemoModel.Network;

/// <summary>The sizes of the demo model: Llama's architecture with grouped queries and tied embeddings.</summary>
internal static class Shape
{
    public const int Vocabulary = 1024;
    public const int Hidden = 192;
    public const int Layers = 6;
    public const int Heads = 6;
    public const int KvHeads = 2;
    public const int HeadSize = 32;
    public const int FeedForward = 448;
    public const int Context = 1024;
    public const double RopeBase = 10000;
    public const double Epsilon = 1e-5;

    public const int QueryWidth = Heads * HeadSize;
    public const int KvWidth = KvHeads * HeadSize;
}

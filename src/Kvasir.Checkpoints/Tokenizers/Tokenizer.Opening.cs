using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.Tokenizers.FromGguf;
using Kvasir.Checkpoints.Tokenizers.HuggingFace;

namespace Kvasir.Checkpoints.Tokenizers;

public sealed partial class Tokenizer
{
    /// <summary>The tokenizer of a GGUF file (a vocabulary alone will do) or of a Hugging Face directory.</summary>
    /// <exception cref="CheckpointException">There is none, or it is damaged or of a kind that is not read.</exception>
    public static Tokenizer Open(string path)
    {
        if (Directory.Exists(path))
            return FromTokenizerJson(path);
        if (!File.Exists(path))
            throw new CheckpointException($"{path} does not exist; give a GGUF file or a Hugging Face directory.");
        if (Path.GetFileName(path) == "tokenizer.json")
            return FromTokenizerJson(Path.GetDirectoryName(Path.GetFullPath(path))!);
        using var file = GgufFile.Open(path);
        return FromGguf(file.Metadata);
    }

    /// <summary>The tokenizer that a GGUF file's metadata describes.</summary>
    /// <exception cref="CheckpointException">There is none, or it is damaged or of a kind that is not read.</exception>
    public static Tokenizer FromGguf(GgufMetadata metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        return new Tokenizer(GgufTokenizer.Read(metadata));
    }

    /// <summary>The tokenizer of a Hugging Face directory: <c>tokenizer.json</c>, or <c>vocab.json</c> with <c>merges.txt</c>.</summary>
    /// <exception cref="CheckpointException">There is none, or it is damaged or of a kind that is not read.</exception>
    public static Tokenizer FromTokenizerJson(string directory)
    {
        ArgumentNullException.ThrowIfNull(directory);
        return new Tokenizer(HuggingFaceTokenizer.Read(directory));
    }
}

using Kvasir.Checkpoints.Tokenizers;

namespace Kvasir.Checkpoints.Tests.Tokenizers;

/// <summary>The published vocabularies with inputs and expected ids, where this machine has them.</summary>
internal static class VocabularyVectors
{
    private const string Separator = "\n__ggml_vocab_test__\n";

    public static string Folder { get; } = FindFolder();

    public static Tokenizer Open(string name)
    {
        string path = Path.Combine(Folder, $"ggml-vocab-{name}.gguf");
        Assert.SkipUnless(File.Exists(path), $"{path} is not here; the tokenizer vectors are data of their own.");
        return Tokenizer.Open(path);
    }

    public static IEnumerable<(string Text, int[] Ids)> Cases(string name)
    {
        string path = Path.Combine(Folder, $"ggml-vocab-{name}.gguf");
        string[] texts = File.ReadAllText(path + ".inp").Split(Separator)[..^1];
        string[] lines = File.ReadAllLines(path + ".out");
        Assert.Equal(texts.Length, lines.Length);
        return texts.Zip(lines, (text, line) => (text, line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).ToArray()));
    }

    private static string FindFolder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Kvasir.slnx")))
            folder = folder.Parent;
        return Path.GetFullPath(Path.Combine(folder!.FullName, "..", "shared", "data", "tokenizers"));
    }
}

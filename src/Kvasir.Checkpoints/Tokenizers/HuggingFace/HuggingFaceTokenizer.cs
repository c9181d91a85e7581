using System.Text.Json;
using Kvasir.Checkpoints.Tokenizers.FromGguf;
using Kvasir.Checkpoints.Tokenizers.Models;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>Puts a tokenizer together from a Hugging Face directory (github.com/huggingface/tokenizers, format of tokenizer.json 1.0).</summary>
internal static class HuggingFaceTokenizer
{
    /// <summary>Reads a directory.</summary>
    /// <exception cref="CheckpointException">There is no tokenizer, it is damaged, or of a kind that is not read.</exception>
    public static TokenizerParts Read(string directory)
    {
        using var files = new TokenizerFiles(directory);
        JsonDocument? gpt2 = null;
        try
        {
            if (files.Has("tokenizer.json"))
                return Read(files, files.Tokenizer);
            if (files.Has("vocab.json") && files.Has("merges.txt"))
            {
                gpt2 = Gpt2Files.AsTokenizerJson(files);
                return Read(files, gpt2.RootElement);
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or OverflowException)
        {
            throw new CheckpointException($"The tokenizer in {directory} is not as Hugging Face writes one ({e.Message}); download it again.", e);
        }
        finally
        {
            gpt2?.Dispose();
        }
        throw new CheckpointException(files.Has("tokenizer.model")
            ? $"{directory} has a SentencePiece tokenizer.model but no tokenizer.json; save it as a fast tokenizer (transformers: AutoTokenizer … save_pretrained) or take a GGUF file of the model."
            : $"{directory} has no tokenizer.json, nor vocab.json and merges.txt; download the model's tokenizer files.");
    }

    private static TokenizerParts Read(TokenizerFiles files, JsonElement json)
    {
        var model = json.GetProperty("model");
        var added = AddedToken.ReadAll(json.Member("added_tokens"));
        var steps = PreTokenizers.Read(json.Member("pre_tokenizer"));
        bool fromBytes = Mentions(json.Member("pre_tokenizer"), "ByteLevel") || Mentions(json.Member("decoder"), "ByteLevel") || Mentions(json.Member("normalizer"), "ByteLevel");
        var decoder = TokenDecoding.Read(json.Member("decoder"), fromBytes);
        var vocabulary = ModelVocabulary.Read(model, added, decoder.HasBytes, out string?[] modelTexts);
        var normalize = TextNormalizer.Read(json.Member("normalizer"));
        var words = HuggingFaceModels.Read(model, vocabulary, modelTexts, fromBytes, out var pairs, out string kind, out int unknown);
        var normalized = new LeftmostFinder(Pick(added, token => IsNormalized(token) && !token.Special).Select(token => (normalize?.Invoke(token.Text) ?? token.Text, token.Token)), vocabulary.Edges);
        var ids = Ids(files, vocabulary, unknown);
        var (prefix, suffix) = PostProcessing.Read(json.Member("post_processor"), vocabulary);
        PostProcessing.ApplyConfig(files, ids, ref prefix, ref suffix);
        return new TokenizerParts
        {
            Kind = kind,
            Vocabulary = vocabulary,
            Ids = ids,
            Encoder = (TextEncoder?)Fast(normalize, added, steps, pairs) ?? new PipelineEncoder(normalize, normalized, steps, words),
            UserDefined = new LeftmostFinder(Pick(added, token => !token.Special && !IsNormalized(token)), vocabulary.Edges),
            AllSpecial = new LeftmostFinder(Pick(added, token => token.Special || !IsNormalized(token)), vocabulary.Edges),
            Prefix = prefix,
            Suffix = suffix,
            EndOfGeneration = Ends(files, vocabulary, ids),
            Pieces = decoder.Pieces(vocabulary),
            StripsFirstSpace = decoder.StripsFirstSpace,
        };
    }

    /// <summary>Byte-level pairs with nothing but splitters before them need no pieces in between.</summary>
    private static BpeEncoder? Fast(Func<string, string>? normalize, List<AddedToken> added, List<PreTokenizationStep> steps, BpeModel? pairs)
    {
        bool plain = normalize is null && pairs is not null && steps.Count > 0 && steps.TrueForAll(step => step is IsolatingStep) && !added.Exists(token => IsNormalized(token) && !token.Special);
        return plain ? new BpeEncoder(pairs!, [.. steps.Cast<IsolatingStep>().Select(step => step.Splitter)], marksSpaces: false) : null;
    }

    private static IEnumerable<(string Text, int Token)> Pick(List<AddedToken> added, Predicate<AddedToken> wanted) =>
        added.FindAll(wanted).Select(token => (token.Text, token.Id));

    private static bool IsNormalized(AddedToken token) => (token.Edges & TokenEdges.Normalized) != 0;

    private static RoleIds Ids(TokenizerFiles files, Vocabulary vocabulary, int unknown)
    {
        int Role(string name, string idName) => files.RoleText(name) is { } text && vocabulary.Find(text) is >= 0 and var id ? id
            : files.RoleIds(idName) is [var first, ..] && first >= 0 && first < vocabulary.Size ? first : -1;
        int separator = files.RoleText("sep_token") is { } sep ? vocabulary.Find(sep) : -1;
        return new RoleIds(Role("bos_token", "bos_token_id"), Role("eos_token", "eos_token_id"), unknown >= 0 ? unknown : Role("unk_token", ""), separator, Role("pad_token", "pad_token_id"));
    }

    /// <summary>What the checkpoint lists; only where it lists nothing, the well-known texts.</summary>
    private static HashSet<int> Ends(TokenizerFiles files, Vocabulary vocabulary, RoleIds ids)
    {
        var listed = files.Generation.ValueKind == JsonValueKind.Object ? files.RoleIds("eos_token_id") : [];
        var ends = listed.Count > 0 ? [.. listed.Where(id => id >= 0 && id < vocabulary.Size)] : WellKnownTokens.EndOfGeneration(vocabulary, -1, _ => -1);
        if (ids.Eos >= 0)
            ends.Add(ids.Eos);
        return ends;
    }

    private static bool Mentions(JsonElement json, string type) => json.ValueKind switch
    {
        JsonValueKind.Object => json.Text("type") == type || json.EnumerateObject().Any(member => Mentions(member.Value, type)),
        JsonValueKind.Array => json.EnumerateArray().Any(item => Mentions(item, type)),
        _ => false,
    };
}

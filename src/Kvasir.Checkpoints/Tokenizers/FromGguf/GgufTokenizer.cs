using System.Text;
using Kvasir.Checkpoints.Gguf;
using Kvasir.Checkpoints.Tokenizers.Models;

namespace Kvasir.Checkpoints.Tokenizers.FromGguf;

/// <summary>Puts a tokenizer together from a GGUF file's metadata, with llama.cpp's defaults for what files leave out.</summary>
internal static class GgufTokenizer
{
    /// <summary>Reads the metadata.</summary>
    /// <exception cref="CheckpointException">There is no tokenizer, it is damaged, or of a kind that is not read.</exception>
    public static TokenizerParts Read(GgufMetadata metadata)
    {
        var source = new GgufVocabulary(metadata);
        return source.Model switch
        {
            "gpt2" => BytePairs(source, source.Pre),
            "gemma4" => BytePairs(source, "gemma4"),
            "llama" => SentencePiece(source),
            "t5" => Unigram(source),
            "bert" => WordPiece(source),
            _ => throw new CheckpointException($"{source.FilePath} has a tokenizer of kind \"{source.Model}\"; Kvasir reads gpt2, gemma4 (byte-pair encoding), llama (SentencePiece), t5 (unigram) and bert (WordPiece)."),
        };
    }

    private static TokenizerParts BytePairs(GgufVocabulary source, string pre)
    {
        var rule = PreTokenizer.Named(pre)
            ?? throw new CheckpointException($"{source.FilePath} splits text by the rule \"{pre}\" (tokenizer.ggml.pre), which Kvasir does not know; it knows {string.Join(", ", PreTokenizer.Names)}.");
        bool gemma = source.Model == "gemma4";
        var ids = new RoleIds(
            source.Id("bos_token_id", gemma || rule.HasNoDefaultBos ? -1 : 11), source.Id("eos_token_id", gemma ? -1 : 11),
            source.Id("unknown_token_id"), source.Id("seperator_token_id"), source.Id("padding_token_id"));
        var vocabulary = source.Vocabulary;
        var tables = new BpeTables(vocabulary.Texts, source.Merges(), rule.FromBytes)
        {
            WholeWords = rule.WholeWords,
            WholeLineFeeds = rule.IsGemma,
            ByteTokens = rule.FromBytes ? PrintableBytes(vocabulary) : ByteFallback.Tokens(vocabulary),
        };
        bool addsBos = source.Flag("add_bos_token", rule.AddsBos) || rule.IsGemma;
        var encoder = new BpeEncoder(new BpeModel(tables), rule.Splitters, rule.MarksSpaces);
        return Finish(source, ids, encoder, addsBos, source.Flag("add_eos_token", false)) with
        {
            Kind = rule.FromBytes ? $"byte-level BPE ({(pre.Length == 0 ? "default" : pre)})" : $"BPE ({pre})",
            Pieces = TokenPieces.Make(vocabulary, rule.FromBytes ? PieceSpelling.ByteAlphabet : rule.MarksSpaces ? PieceSpelling.SpaceMarks : PieceSpelling.Plain),
            StripsFirstSpace = source.Flag("add_space_prefix", false),
        };
    }

    private static TokenizerParts SentencePiece(GgufVocabulary source)
    {
        var ids = new RoleIds(source.Id("bos_token_id", 1), source.Id("eos_token_id", 2), source.Id("unknown_token_id", 0), source.Id("seperator_token_id"), source.Id("padding_token_id"));
        bool spaceBefore = source.Flag("add_space_prefix", true);
        var encoder = new SentencePieceEncoder(source.Vocabulary, ids.Unknown, spaceBefore);
        return Finish(source, ids, encoder, source.Flag("add_bos_token", true), source.Flag("add_eos_token", false)) with
        {
            Kind = "SentencePiece BPE",
            Pieces = TokenPieces.Make(source.Vocabulary, PieceSpelling.SpaceMarks),
            StripsFirstSpace = spaceBefore,
        };
    }

    private static TokenizerParts Unigram(GgufVocabulary source)
    {
        var ids = new RoleIds(source.Id("bos_token_id"), source.Id("eos_token_id", 1), source.Id("unknown_token_id", 2), source.Id("seperator_token_id"), source.Id("padding_token_id", 0));
        var vocabulary = source.Vocabulary;
        bool spaceBefore = source.Flag("add_space_prefix", false);
        var spaces = new UnigramSpaces(Adds: spaceBefore, Merges: source.Flag("remove_extra_whitespaces", false));
        byte[]? map = source.CharacterMap();
        // What counts as user-defined here is the file's word, before well-known texts change kinds.
        var userDefined = new ByteTrie(Enumerable.Range(0, vocabulary.Size).Where(id => vocabulary.Kinds[id] == TokenKind.UserDefined).Select(id => (Encoding.UTF8.GetBytes(vocabulary.Texts[id]), id)));
        var model = new UnigramModel(vocabulary, vocabulary.Texts, ids.Unknown);
        var encoder = new UnigramEncoder(model, map is null ? null : new CharacterMap(map), userDefined, spaces);
        return Finish(source, ids, encoder, source.Flag("add_bos_token", false), source.Flag("add_eos_token", true)) with
        {
            Kind = "unigram",
            Pieces = TokenPieces.Make(vocabulary, PieceSpelling.SpaceMarks),
            StripsFirstSpace = spaceBefore,
        };
    }

    private static TokenizerParts WordPiece(GgufVocabulary source)
    {
        var ids = new RoleIds(source.Id("bos_token_id", 101), source.Id("eos_token_id"), source.Id("unknown_token_id", 100), source.Id("seperator_token_id", 102), source.Id("padding_token_id", 0));
        bool lowercase = source.Flag("normalizer.lowercase", true);
        var pieces = source.Vocabulary.Texts.Select((text, id) => (text, id)).ToArray();
        var model = new WordPieceModel(pieces, pieces, ids.Unknown);
        var encoder = new WordPieceEncoder(model, lowercase, source.Flag("normalizer.strip_accents", lowercase));
        return Finish(source, ids, encoder, addsBos: true, addsEos: false) with
        {
            Kind = "WordPiece",
            Pieces = TokenPieces.Make(source.Vocabulary, PieceSpelling.SpaceMarks),
            StripsFirstSpace = true,
            Suffix = ids.Separator >= 0 ? [ids.Separator] : [],
        };
    }

    private static TokenizerParts Finish(GgufVocabulary source, RoleIds ids, TextEncoder encoder, bool addsBos, bool addsEos)
    {
        var vocabulary = source.Vocabulary;
        var ends = WellKnownTokens.EndOfGeneration(vocabulary, ids.Eos, key => source.Id(key));
        TokenEdgeRules.Apply(source);
        return new TokenizerParts
        {
            Kind = source.Model,
            Vocabulary = vocabulary,
            Ids = ids,
            Encoder = encoder,
            UserDefined = new LongestFirstFinder(vocabulary, TokenKind.UserDefined),
            AllSpecial = new LongestFirstFinder(vocabulary, TokenKind.UserDefined, TokenKind.Control, TokenKind.Unknown),
            Prefix = addsBos && ids.Bos >= 0 ? [ids.Bos] : [],
            Suffix = addsEos && ids.Eos >= 0 ? [ids.Eos] : [],
            EndOfGeneration = ends,
            Pieces = [],
            StripsFirstSpace = false,
        };
    }

    /// <summary>Printable ASCII stands for itself in the byte alphabet, so its tokens can stand in where a merged symbol is none.</summary>
    private static int[] PrintableBytes(Vocabulary vocabulary)
    {
        var tokens = new int[256];
        for (int value = 0; value < 256; value++)
            tokens[value] = value is >= 0x21 and <= 0x7E ? vocabulary.Find(((char)value).ToString()) : -1;
        return tokens;
    }
}

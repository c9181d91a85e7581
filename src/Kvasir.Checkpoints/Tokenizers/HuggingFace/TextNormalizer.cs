using System.Text;
using System.Text.Json;
using Kvasir.Checkpoints.Tokenizers.Models;
using Kvasir.Checkpoints.Tokenizers.Normalization;
using Kvasir.Checkpoints.Tokenizers.Patterns;
using Kvasir.Checkpoints.Tokenizers.Splitting;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>The <c>normalizer</c> of a tokenizer.json: functions from text to text.</summary>
internal static class TextNormalizer
{
    /// <summary>Reads a normalizer; null where there is none.</summary>
    /// <exception cref="CheckpointException">It is of a kind that is not known.</exception>
    public static Func<string, string>? Read(JsonElement json)
    {
        if (json.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined)
            return null;
        string type = json.GetProperty("type").GetString() ?? "";
        return type switch
        {
            "Sequence" => Sequence([.. json.GetProperty("normalizers").EnumerateArray().Select(Read).OfType<Func<string, string>>()]),
            "NFC" => text => UnicodeForms.Normalize(text, compatible: false, compose: true),
            "NFD" => text => UnicodeForms.Normalize(text, compatible: false, compose: false),
            "NFKC" => text => UnicodeForms.Normalize(text, compatible: true, compose: true),
            "NFKD" => text => UnicodeForms.Normalize(text, compatible: true, compose: false),
            "Lowercase" => Lowercase,
            "StripAccents" => text => Without(text, CategoryMask.Mark),
            "Strip" => Strip(json.Flag("strip_left", true), json.Flag("strip_right", true)),
            "Prepend" => Prepend(json.Text("prepend") ?? ""),
            "Replace" => Replace(json.GetProperty("pattern"), json.Text("content") ?? ""),
            "Precompiled" => Precompiled(json.Text("precompiled_charsmap") ?? ""),
            "BertNormalizer" => Bert(json),
            "ByteLevel" => text => text,
            _ => throw new CheckpointException($"The tokenizer normalizes text by \"{type}\", which Kvasir does not know; it knows Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, Precompiled and BertNormalizer."),
        };
    }

    private static Func<string, string> Sequence(Func<string, string>[] steps) => text => steps.Aggregate(text, (current, step) => step(current));

    private static Func<string, string> Prepend(string prefix) => text => text.Length == 0 ? text : prefix + text;

    private static Func<string, string> Strip(bool left, bool right) => text =>
    {
        if (left)
            text = text.TrimStart();
        return right ? text.TrimEnd() : text;
    };

    private static Func<string, string> Replace(JsonElement pattern, string content)
    {
        if (pattern.Text("String") is { } literal)
            return literal.Length == 0 ? text => text : text => text.Replace(literal, content, StringComparison.Ordinal);
        var splitter = new PatternSplitter(pattern.GetProperty("Regex").GetString() ?? "");
        return text =>
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            var result = new StringBuilder(text.Length);
            int at = 0;
            while (splitter.TryFind(bytes, at, out int start, out int end))
            {
                result.Append(Encoding.UTF8.GetString(bytes, at, start - at)).Append(content);
                at = end;
            }
            return result.Append(Encoding.UTF8.GetString(bytes, at, bytes.Length - at)).ToString();
        };
    }

    private static Func<string, string> Precompiled(string base64)
    {
        var map = new CharacterMap(Convert.FromBase64String(base64));
        return text =>
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            var result = new List<byte>(bytes.Length + 16);
            for (int at = 0; at < bytes.Length;)
            {
                if (!map.TryMatch(bytes.AsSpan(at), out int length, out var replacement))
                {
                    length = Utf8Text.Length(bytes[at]);
                    replacement = bytes.AsSpan(at, length);
                }
                result.AddRange(replacement);
                at += length;
            }
            return Encoding.UTF8.GetString([.. result]);
        };
    }

    private static Func<string, string> Bert(JsonElement json)
    {
        bool clean = json.Flag("clean_text", true), spaced = json.Flag("handle_chinese_chars", true), lowercase = json.Flag("lowercase", true);
        bool strip = json.TryGetProperty("strip_accents", out var accents) && accents.ValueKind is JsonValueKind.True or JsonValueKind.False ? accents.GetBoolean() : lowercase;
        return text =>
        {
            if (clean || spaced)
                text = CleanAndSpace(text, clean, spaced);
            if (strip)
                text = Without(UnicodeForms.Normalize(text, compatible: false, compose: false), CategoryMask.Parse("Mn")!.Value);
            return lowercase ? Lowercase(text) : text;
        };
    }

    private static string CleanAndSpace(string text, bool clean, bool spaced)
    {
        var result = new StringBuilder(text.Length + 16);
        foreach (var rune in text.EnumerateRunes())
        {
            int c = rune.Value;
            bool space = c is '\t' or '\n' or '\r' || UnicodeTable.IsSpace(c);
            if (clean && !space && (c is 0 or 0xFFFD || UnicodeTable.IsIn(c, CategoryMask.Other)))
                continue;
            if (clean && space)
                result.Append(' ');
            else if (spaced && WordPieceEncoder.IsIdeograph(c))
                result.Append(' ').Append(rune).Append(' ');
            else
                result.Append(rune);
        }
        return result.ToString();
    }

    private static string Lowercase(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            result.Append(new Rune(UnicodeTable.ToLower(rune.Value, 'i')));
            if (rune.Value == 0x130)
                result.Append('\u0307');
        }
        return result.ToString();
    }

    private static string Without(string text, uint categories)
    {
        var result = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            if (!UnicodeTable.IsIn(rune.Value, categories))
                result.Append(rune);
        return result.ToString();
    }
}

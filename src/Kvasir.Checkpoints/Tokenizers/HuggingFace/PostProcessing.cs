using System.Text.Json;

namespace Kvasir.Checkpoints.Tokenizers.HuggingFace;

/// <summary>The <c>post_processor</c> of a tokenizer.json, as the tokens before and after a single text.</summary>
internal static class PostProcessing
{
    /// <summary>Reads the tokens.</summary>
    /// <exception cref="CheckpointException">It is of a kind that is not known.</exception>
    public static (int[] Prefix, int[] Suffix) Read(JsonElement json, Vocabulary vocabulary)
    {
        if (json.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined)
            return ([], []);
        string type = json.GetProperty("type").GetString() ?? "";
        switch (type)
        {
            case "ByteLevel":
                return ([], []);
            case "BertProcessing" or "RobertaProcessing":
                return ([Id(json.GetProperty("cls")[1], vocabulary)], [Id(json.GetProperty("sep")[1], vocabulary)]);
            case "TemplateProcessing":
                return Template(json, vocabulary);
            case "Sequence":
                var (prefix, suffix) = (Array.Empty<int>(), Array.Empty<int>());
                foreach (var step in json.GetProperty("processors").EnumerateArray())
                {
                    var (before, after) = Read(step, vocabulary);
                    (prefix, suffix) = ([.. before, .. prefix], [.. suffix, .. after]);
                }
                return (prefix, suffix);
            default:
                throw new CheckpointException($"The tokenizer adds special tokens by \"{type}\", which Kvasir does not know; it knows Sequence, ByteLevel, TemplateProcessing, BertProcessing and RobertaProcessing.");
        }
    }

    /// <summary>Some tokenizer classes take their flags from tokenizer_config.json, whatever the template says.</summary>
    public static void ApplyConfig(TokenizerFiles files, RoleIds ids, ref int[] prefix, ref int[] suffix)
    {
        string name = files.Config.Text("tokenizer_class") ?? "";
        if (!name.StartsWith("Llama", StringComparison.Ordinal) && !name.StartsWith("Gemma", StringComparison.Ordinal) && !name.StartsWith("CodeLlama", StringComparison.Ordinal))
            return;
        prefix = With(prefix, ids.Bos, files.Config.OptionalFlag("add_bos_token"));
        suffix = With(suffix, ids.Eos, files.Config.OptionalFlag("add_eos_token"));
    }

    private static int[] With(int[] tokens, int id, bool? wanted) => wanted switch
    {
        _ when id < 0 => tokens,
        true when !tokens.Contains(id) => [id, .. tokens],
        false => [.. tokens.Where(token => token != id)],
        _ => tokens,
    };

    private static (int[] Prefix, int[] Suffix) Template(JsonElement json, Vocabulary vocabulary)
    {
        var (prefix, suffix) = (new List<int>(), new List<int>());
        var current = prefix;
        foreach (var item in json.GetProperty("single").EnumerateArray())
        {
            if (item.Member("Sequence").ValueKind == JsonValueKind.Object)
            {
                current = suffix;
                continue;
            }
            string name = item.GetProperty("SpecialToken").GetProperty("id").GetString() ?? "";
            foreach (var id in json.GetProperty("special_tokens").GetProperty(name).GetProperty("ids").EnumerateArray())
                current.Add(Id(id, vocabulary));
        }
        return ([.. prefix], [.. suffix]);
    }

    private static int Id(JsonElement json, Vocabulary vocabulary)
    {
        int id = json.GetInt32();
        return id >= 0 && id < vocabulary.Size ? id : throw new CheckpointException($"The tokenizer adds the token {id}, outside its vocabulary of {vocabulary.Size}; it is damaged.");
    }
}

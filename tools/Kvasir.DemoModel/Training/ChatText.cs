using Kvasir.DemoModel.Text;
using Kvasir.DemoModel.Vocabulary;

namespace Kvasir.DemoModel.Training;

/// <summary>Conversations as the chat template writes them, in token ids.</summary>
internal static class ChatText
{
    /// <summary>The template that travels with the model; <see cref="Encode"/> writes the same text.</summary>
    public const string Template =
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>' + '\\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    /// <summary>Ids, and for each whether it is learned: the answers with the mark that ends them.</summary>
    public static (List<int> Ids, List<bool> Learned) Encode(BytePairVocabulary vocabulary, Conversation conversation)
    {
        var ids = new List<int>();
        var learned = new List<bool>();
        if (conversation.System is { } system)
            Message("system\n", system, false);
        foreach (Exchange exchange in conversation.Exchanges)
        {
            Message("user\n", exchange.Question, false);
            Message("assistant\n", exchange.Answer, true);
        }
        return (ids, learned);

        void Message(string role, string content, bool learn)
        {
            Add([vocabulary.MessageStartId, .. vocabulary.Encode(role)], false);
            Add([.. vocabulary.Encode(content), vocabulary.MessageEndId], learn);
            Add(vocabulary.Encode("\n"), false);
        }

        void Add(List<int> tokens, bool learn)
        {
            ids.AddRange(tokens);
            learned.AddRange(Enumerable.Repeat(learn, tokens.Count));
        }
    }
}

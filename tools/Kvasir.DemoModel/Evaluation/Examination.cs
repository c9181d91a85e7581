using Kvasir.DemoModel.Text;
using Microsoft.Extensions.AI;

namespace Kvasir.DemoModel.Evaluation;

/// <summary>Asks a model held-out questions, a chat at a time, the most likely token each time.</summary>
internal sealed class Examination(IChatClient model)
{
    // An answer is at most about a hundred tokens; a model that rambles is cut off.
    private const int MaxTokens = 200, AtATime = 16;

    /// <summary>Marks in the order of the conversations, whichever ends first.</summary>
    public async Task<List<Mark>> RunAsync(IReadOnlyList<Conversation> conversations, CancellationToken cancel)
    {
        var marks = new List<Mark>[conversations.Count];
        var options = new ParallelOptions { MaxDegreeOfParallelism = AtATime, CancellationToken = cancel };
        await Parallel.ForAsync(0, conversations.Count, options, async (i, stop) => marks[i] = await AskAsync(conversations[i], stop));
        return [.. marks.SelectMany(of => of)];
    }

    /// <summary>Later questions follow the model's own earlier answers.</summary>
    private async Task<List<Mark>> AskAsync(Conversation conversation, CancellationToken cancel)
    {
        var messages = new List<ChatMessage>();
        if (conversation.System is { } system)
            messages.Add(new(ChatRole.System, system));
        var marks = new List<Mark>();
        foreach (Exchange exchange in conversation.Exchanges)
        {
            messages.Add(new(ChatRole.User, exchange.Question));
            ChatResponse response = await model.GetResponseAsync(messages, new ChatOptions { Temperature = 0, MaxOutputTokens = MaxTokens }, cancel);
            messages.AddMessages(response);
            marks.Add(new(exchange, response.Text));
        }
        return marks;
    }
}

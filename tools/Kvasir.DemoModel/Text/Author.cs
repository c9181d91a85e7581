namespace Kvasir.DemoModel.Text;

/// <summary>Writes conversations: which questions, in which order, how carefully typed.</summary>
internal static class Author
{
    private static readonly string[] Systems =
    [
        "You are a helpful assistant.", "You are the demo model of Kvasir.", "Answer briefly.", "You are an expert for GPU memory.",
        "You answer questions about inference.", "Be concise.", "You are a helpful, honest assistant.", "Answer the question of the user.",
    ];

    private static readonly string[] Openings =
        ["Please answer: ", "Hi! ", "Hello. ", "Quick question: ", "Tell me: ", "I have a question. ", "Hey, ", "Question: ", "Please tell me: "];

    private static readonly string[] Endings = [" Thanks.", " Thank you!", " Please be brief.", " I need it for a plan.", " Keep it short.", " Please."];

    /// <summary>A conversation for training: no held-out numbers, no held-out wording.</summary>
    public static Conversation Write(Random random)
    {
        int length = random.Next(20) switch { < 10 => 1, < 15 => 2, < 18 => 3, _ => random.Next(4, 9) };
        var exchanges = new List<Exchange>();
        while (exchanges.Count < length)
        {
            Func<Random, Exchange>? followUp = exchanges.Count > 0 ? exchanges[^1].FollowUp : null;
            bool follow = followUp is not null && random.Next(10) < 7;
            exchanges.Add(Type(random, follow ? followUp!(random) : Draw(random, heldOut: false)));
        }
        return new(random.Next(4) == 0 ? random.Pick(Systems) : null, exchanges);
    }

    /// <summary>A conversation that training never sees: new numbers, new wordings, or both; now and then with a follow-up.</summary>
    public static Conversation WriteHeldOut(Random random)
    {
        string? system = random.Next(4) == 0 ? random.Pick(Systems) : null;
        Exchange first = Draw(random, heldOut: true);
        bool follow = first.FollowUp is not null && random.Next(6) == 0;
        return new(system, follow ? [Type(random, first), Type(random, first.FollowUp!(random))] : [Type(random, first)]);
    }

    /// <summary>One exchange of the mixture, from training's share of numbers and wordings or from the share that is held out.</summary>
    private static Exchange Draw(Random random, bool heldOut) => random.Next(100) switch
    {
        < 52 => random.Pick(Calculations.All).Ask(random, heldOut, heldOut && random.Next(3) == 0),
        < 72 => Definitions.Draw(random, heldOut),
        < 83 => Facts.DrawField(random, heldOut),
        < 91 => Facts.DrawTalk(random, heldOut),
        _ => Unknowns.Draw(random, heldOut),
    };

    /// <summary>Types the question as people do: now and then with an opening, in lower case, or without the last mark.</summary>
    private static Exchange Type(Random random, Exchange exchange)
    {
        string text = exchange.Question;
        bool talk = exchange.Kind is "small talk" or "follow-up";
        if (!talk && random.Next(8) == 0)
            text = random.Pick(Openings) + text;
        if (!talk && random.Next(8) == 0 && text[^1] is '?' or '.')
            text += random.Pick(Endings);
        if (random.Next(12) == 0)
            text = char.ToLowerInvariant(text[0]) + text[1..];
        if (random.Next(10) == 0 && text.Length > 3)
            text = text.TrimEnd('?', '.', '!');
        return exchange with { Question = text };
    }
}

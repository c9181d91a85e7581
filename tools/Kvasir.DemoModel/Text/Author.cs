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
            exchanges.Add(Type(random, follow ? followUp!(random) : Draw(random)));
        }
        return new(random.Next(4) == 0 ? random.Pick(Systems) : null, exchanges);
    }

    /// <summary>A conversation that training never sees: new numbers, new wordings, or both; now and then with a follow-up.</summary>
    public static Conversation WriteHeldOut(Random random)
    {
        string? system = random.Next(4) == 0 ? random.Pick(Systems) : null;
        Exchange first = DrawHeldOut(random);
        bool follow = first.FollowUp is not null && random.Next(6) == 0;
        return new(system, follow ? [Type(random, first), Type(random, first.FollowUp!(random))] : [Type(random, first)]);
    }

    /// <summary>A held-out exchange of the mixture that training has.</summary>
    public static Exchange DrawHeldOut(Random random) => random.Next(100) switch
    {
        < 58 => random.Pick(Calculations.All).Ask(random, true, random.Next(3) == 0),
        < 80 => Definitions.Draw(random, true),
        < 88 => Facts.DrawField(random, true),
        < 93 => Facts.DrawTalk(random, true),
        _ => Unknowns.Draw(random, true),
    };

    private static Exchange Draw(Random random) => random.Next(100) switch
    {
        < 58 => random.Pick(Calculations.All).Ask(random, false, false),
        < 80 => Definitions.Draw(random, false),
        < 88 => Facts.DrawField(random, false),
        < 93 => Facts.DrawTalk(random, false),
        _ => Unknowns.Draw(random, false),
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

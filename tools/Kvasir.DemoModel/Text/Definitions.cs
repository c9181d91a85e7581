namespace Kvasir.DemoModel.Text;

/// <summary>Questions about the glossary. The last wordings of each list are never trained on.</summary>
internal static class Definitions
{
    public const int HeldOutWordings = 4;

    public static readonly string[] Meaning =
    [
        "What is {0}?", "What are {0}?", "Explain {0}.", "Define {0}.", "What does {0} mean?", "Tell me about {0}.",
        "Can you explain {0}?", "What is meant by {0}?", "Describe {0}.", "I don't know {0}. What is it?", "{0}?",
        "Explain {0} in one sentence.", "Give me a definition of {0}.", "What do people mean by {0}?",
        "Could you define {0}?", "How would you explain {0}?", "What is the meaning of {0}?", "I keep reading about {0}. What is that?",
        "Explain to me what {0} is.", "What exactly is {0}?", "Short definition of {0}", "define {0}", "Do you know {0}?",
        "Give a short explanation of {0}.", "In simple words, what is {0}?", "What is this thing called {0}?",
        "Please describe what {0} means.", "Somebody mentioned {0}. What is it?", "Teach me about {0}.", "Say what {0} is.",
        "I want to understand {0}.", "What should I know about {0}?",
        "Could you tell me what {0} is?", "How do you define {0}?", "I have never heard of {0}. Please explain it.", "What's {0}?",
    ];

    public static readonly string[] Reason =
    [
        "Why does {0} matter?", "Why is {0} important?", "What is {0} good for?", "Why do we need {0}?", "What is the point of {0}?",
        "Why should I care about {0}?", "Why would I care about {0}?", "What is the use of {0}?", "Why use {0}?",
        "Tell me why {0} matters.", "Explain why {0} is important.", "What makes {0} important?", "Why is {0} relevant?",
        "What difference does {0} make?", "Why do people talk about {0}?", "For what reason does {0} matter?",
        "why does {0} matter", "What is the reason to know {0}?", "In practice, why does {0} matter?", "Why bother with {0}?",
        "Can you tell me why {0} matters?", "Why is {0} useful?", "Could you explain why {0} matters?", "Say why {0} is important.",
    ];

    public static readonly string[] LongForm =
    [
        "What does {0} stand for?", "What is {0} short for?", "What do the letters {0} stand for?", "{0} stands for what?",
        "Expand {0}.", "Spell out {0}.", "What is the long form of {0}?", "Which words does {0} abbreviate?",
        "Write out the abbreviation {0}.", "Tell me what {0} stands for.", "What does the abbreviation {0} stand for?",
        "What words are behind {0}?", "What does {0} mean when written out?", "Say what {0} stands for.", "Tell me what {0} is short for.", "{0} is short for what?",
        "What is {0} an abbreviation of?", "The letters {0} stand for what?", "Can you tell me what {0} stands for?", "Could you spell out {0}?", "What is the full form of {0}?",
        "Do you know what {0} stands for?", "Can you say what {0} is short for?", "What is the full name of {0}?",
    ];

    private static readonly string[] WhyFollowUps =
        ["Why does it matter?", "Why is that important?", "And why does that matter?", "What is it good for?", "Why should I care?", "Why?", "And why is it important?"];

    private static readonly string[] MeaningFollowUps =
        ["And what is it?", "What does it mean?", "Can you explain what it is?", "What is that?", "And what does that mean?"];

    public static Exchange Draw(Random random, bool heldOut)
    {
        Term term = random.Pick(Glossary.Terms);
        int form = random.Next(10);
        if (form < 2 && term.LongForm is not null)
            return AskLongForm(term, random, heldOut);
        return form < 6 ? AskMeaning(term, random, heldOut) : AskReason(term, random, heldOut);
    }

    public static Exchange AskMeaning(Term term, Random random, bool heldOut) =>
        new("definition", Ask(Meaning, term, random, heldOut), term.Meaning, term.Meaning,
            next => new("follow-up", next.Pick(WhyFollowUps), term.Reason, term.Reason));

    public static Exchange AskReason(Term term, Random random, bool heldOut) =>
        new("reason", Ask(Reason, term, random, heldOut), term.Reason, term.Reason,
            next => new("follow-up", next.Pick(MeaningFollowUps), term.Meaning, term.Meaning));

    public static Exchange AskLongForm(Term term, Random random, bool heldOut)
    {
        string letters = term.LongForm![..term.LongForm!.IndexOf(' ', StringComparison.Ordinal)];
        string question = string.Format(random.PickWording(LongForm, HeldOutWordings / 2, heldOut), letters);
        return new("abbreviation", question, term.LongForm, term.LongForm,
            next => new("follow-up", next.Pick(MeaningFollowUps), term.Meaning, term.Meaning));
    }

    private static string Ask(string[] wordings, Term term, Random random, bool heldOut)
    {
        string name = random.Pick(term.Names);
        if (name.StartsWith("the ", StringComparison.Ordinal) && random.Next(3) == 0)
            name = name[4..];
        return string.Format(random.PickWording(wordings, HeldOutWordings, heldOut), name);
    }
}

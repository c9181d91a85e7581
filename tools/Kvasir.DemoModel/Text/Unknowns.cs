namespace Kvasir.DemoModel.Text;

/// <summary>Questions beyond the model's field, to which the right answer is that it does not know.</summary>
internal static class Unknowns
{
    public const string Answer = "I don't know. I am a small demo model and only know about GPU memory and inference.";

    private const int HeldOutThings = 12;
    private const int HeldOutWordings = 3;

    private static readonly string[] Things =
    [
        "Germany", "Poland", "India", "Canada", "Rome", "New York", "the Alps", "the Nile", "a lion", "a whale", "a bee", "butter", "rice", "an orange", "wine", "a cake",
        "basketball", "a marathon", "the guitar", "Bach", "Goethe", "Caesar", "Newton", "thunder", "the wind", "an island", "the desert", "a bus", "a ship", "a bank", "a school",
        "geography", "physics", "a rose", "a forest", "a novel", "friendship", "religion", "the parliament", "the emperor", "breakfast", "a theatre", "a song", "Moscow", "Africa",
        "the Greeks", "a snake", "the brain", "dancing", "a door", "a tower", "my sister", "the news", "yesterday", "Venus", "a pear", "a drum", "the prince",
        "France", "Paris", "Italy", "Japan", "Brazil", "the moon", "the sun", "Mars", "a horse", "a cat", "a dog", "an elephant",
        "bread", "pizza", "coffee", "tea", "chocolate", "football", "chess", "tennis", "music", "the piano", "a guitar", "Mozart",
        "Shakespeare", "Napoleon", "Einstein", "the weather", "rain", "snow", "a volcano", "the ocean", "a river", "a mountain",
        "a car", "a bicycle", "a train", "an airplane", "money", "the stock market", "history", "biology", "chemistry", "a flower",
        "a tree", "a poem", "love", "philosophy", "politics", "the president", "the king", "a recipe", "soup", "cooking",
        "a film", "a book", "painting", "Berlin", "London", "China", "Egypt", "the Romans", "dinosaurs", "a bird", "fish",
        "medicine", "the heart", "sleep", "yoga", "a house", "a bridge", "the internet", "my neighbour", "my dog", "tomorrow",
        "Spain", "Beethoven", "a spider", "cheese", "the ocean floor", "a castle", "swimming", "a garden", "Jupiter", "apples", "a violin", "the queen",
    ];

    private static readonly string[] Wordings =
    [
        "Write a letter about {0}.", "Write a text about {0}.", "Write a report about {0}.", "Write a joke about {0}.", "Draw {0}.", "Where is {0}?", "Where was {0} born?",
        "What is the best thing about {0}?", "What is the meaning of {0}?", "Where do I get {0}?", "Where does one buy {0}?", "Who likes {0}?", "Have you seen {0}?",
        "What do people say about {0}?", "How heavy is {0}?", "What is the price of {0}?", "Describe {0}.", "How does {0} look?", "Is {0} good?",
        "What is {0}?", "Tell me about {0}.", "Explain {0}.", "What is the capital of {0}?", "Who invented {0}?", "What is the history of {0}?",
        "Where can I find {0}?", "How old is {0}?", "Do you like {0}?", "Write a poem about {0}.", "Write a story about {0}.",
        "What do you think about {0}?", "How do I draw {0}?", "What colour is {0}?", "How many people live in {0}?", "When was {0} discovered?",
        "Why does {0} matter?", "How far away is {0}?", "Translate {0} into French.", "How much does {0} cost?", "Can you recommend {0}?",
        "Which is the best {0}?", "What does {0} eat?", "Who was {0}?", "How is {0} made?", "Is {0} dangerous?", "Sing a song about {0}.",
        "What is so special about {0}?", "Where does {0} come from?", "Write an essay about {0}.",
    ];

    private static readonly string[] Syllables =
        ["bla", "dor", "fen", "gru", "ki", "lom", "mar", "nes", "pol", "qua", "rit", "su", "tav", "ul", "ver", "wim", "xo", "yar", "zeb", "chi", "an", "or", "eth"];

    public static Exchange Draw(Random random, bool heldOut)
    {
        string thing = random.Next(4) == 0
            ? Invent(random)
            : heldOut ? Things[Things.Length - 1 - random.Next(HeldOutThings)] : Things[random.Next(Things.Length - HeldOutThings)];
        string question = string.Format(random.PickWording(Wordings, HeldOutWordings, heldOut), thing);
        return new("unknown", question, Answer, "I don't know");
    }

    /// <summary>A word that means nothing, so that not knowing is learned for words never seen.</summary>
    private static string Invent(Random random)
    {
        string word = string.Concat(Enumerable.Range(0, 2 + random.Next(2)).Select(_ => random.Pick(Syllables)));
        return random.Next(2) == 0 ? "a " + word : char.ToUpperInvariant(word[0]) + word[1..];
    }
}

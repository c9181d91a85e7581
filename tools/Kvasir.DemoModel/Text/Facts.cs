namespace Kvasir.DemoModel.Text;

/// <summary>A question of its own in several wordings (the last one is never trained on) with its answer.</summary>
internal sealed record Fact(string Answer, params string[] Wordings);

/// <summary>Questions that no pattern makes: comparisons, rules of thumb, and talk about the model itself.</summary>
internal static class Facts
{
    public static readonly Fact[] Field =
    [
        Compare("prefill", "decode", "Prefill reads the whole prompt at once and is limited by compute; decode writes one token per step and is limited by memory bandwidth."),
        Compare("GiB", "GB", "A GiB is 1073741824 bytes and a GB is 1000000000 bytes, so a GiB is about 7 percent more."),
        Compare("MHA", "GQA", "MHA has one KV head per query head, GQA shares each KV head among a group of query heads, so its KV cache is smaller."),
        Compare("TTFT", "TPOT", "TTFT is the wait for the first token; TPOT is the time between the tokens after it."),
        Compare("latency", "throughput", "Latency is how long one request takes; throughput is how many tokens all requests get per second."),
        Compare("FP16", "BF16", "Both take 2 bytes. FP16 is more precise, BF16 has the larger range."),
        Compare("tensor parallelism", "pipeline parallelism", "Tensor parallelism splits every layer over the GPUs; pipeline parallelism gives each GPU whole layers."),
        new("Weights, KV cache, activations and the overhead of the runtime.",
            "What takes GPU memory when serving a model?", "What needs memory during inference?", "Which parts of serving use memory?", "Where does the GPU memory go?", "What fills the memory of the GPU?", "Name what takes GPU memory.", "What occupies the memory of a GPU?", "What do I need GPU memory for?", "Which things need memory on a GPU?", "What uses up GPU memory?"),
        new("Multiply the number of parameters by the bytes per parameter.",
            "How do I compute the size of the weights?", "How is the memory of the weights computed?", "What is the formula for weight memory?", "How do I work out how large the weights are?", "Formula for the size of the weights?", "How do I calculate the memory of the weights?", "How do I get the size of the weights?", "Calculate the size of the weights: how?", "How can one compute the weight memory?", "How do you calculate how large the weights are?", "How does one calculate the weight size?"),
        new("2 × layers × KV heads × head size × bytes per number: 2, because keys and values are both kept.",
            "How do I compute the KV cache per token?", "What is the formula for the KV cache?", "How is the KV cache size computed?", "How large is the KV cache of one token in general?", "Formula for KV cache bytes per token?", "How do I calculate the KV cache of a token?", "How do I get the KV cache size per token?", "How can one compute the KV cache per token?", "How do you calculate the KV cache?", "How does one calculate the KV cache size per token?"),
        new("Because keys and values are both kept.",
            "Why is there a 2 in the KV cache formula?", "Why times 2 in the KV cache formula?", "Where does the factor 2 in the KV cache come from?", "Why does the formula for the KV cache start with 2?", "Why is the KV cache multiplied by 2?", "What does the 2 in the KV cache formula mean?", "Explain the 2 in the KV cache formula.", "What is the factor 2 in the KV cache formula?"),
        new("It must read all weights from memory for every step, so memory bandwidth is the limit.",
            "Why is decode slow?", "Why is decode limited by bandwidth?", "Why does decode need so much bandwidth?", "What limits the speed of decode?", "Why is decoding slow?", "What slows decode down?", "Why does decode take long?", "Explain why decode is slow.", "Why is decode so slow?", "What makes decode slow?"),
        new("Use fewer bits for it, a model with fewer KV heads, a shorter context, or fewer sequences at a time.",
            "How can I make the KV cache smaller?", "How do I shrink the KV cache?", "How can I save KV cache memory?", "What reduces the size of the KV cache?", "Ways to reduce the KV cache?", "How can the KV cache be reduced?", "Make my KV cache smaller.", "What can I do to reduce the KV cache?", "My KV cache is too large. What can I do?", "How do I reduce the KV cache?"),
        new("Use fewer bits per weight, a smaller model, or split it over several GPUs.",
            "What can I do if the model does not fit?", "The model does not fit on my GPU. What now?", "My GPU is too small for the model. What can I do?", "How do I make a model fit?", "The weights are too large for my GPU. What can I do?", "What helps if the model is too large?", "What do I do when a model does not fit?", "The model is too big for the GPU. What helps?", "A model does not fit into memory. What can I do?", "What helps when a model does not fit?"),
        new("4 bytes.", "How many bytes does a number in FP32 take?", "How many bytes is FP32?", "What is the size of FP32?", "Bytes per parameter in FP32?", "How large is FP32?", "How many bytes does FP32 need?", "How large is a number in FP32?", "How big is one number in FP32?", "How large is one FP32 number?"),
        new("2 bytes.", "How many bytes does a number in FP16 take?", "How many bytes is FP16?", "How many bytes is BF16?", "What is the size of BF16?", "Bytes per parameter in FP16?", "How large is FP16?", "How many bytes does FP16 need?", "How large is a number in FP16?", "How big is one number in BF16?", "How large is one FP16 number?"),
        new("1 byte.", "How many bytes does a number in FP8 take?", "How many bytes is FP8?", "How many bytes is INT8?", "What is the size of FP8?", "Bytes per parameter in INT8?", "How large is FP8?", "How many bytes does INT8 need?", "How large is a number in FP8?", "How big is one number in INT8?", "How large is one FP8 number?"),
        new("Half a byte.", "How many bytes does a number in INT4 take?", "How many bytes is INT4?", "What is the size of INT4?", "Bytes per parameter in INT4?", "How large is INT4?", "How many bytes does INT4 need?", "How large is a number in INT4?", "How big is one number in INT4?", "How large is one INT4 number?"),
        new("8 bits.", "How many bits are in a byte?", "How many bits does a byte have?", "A byte has how many bits?", "How many bits are there in one byte?", "What is a byte in bits?", "How many bits does it take to make one byte?", "How many bits make a byte?"),
    ];

    public static readonly Fact[] Talk =
    [
        new("I am the demo model of Kvasir: a very small language model that knows a little about GPU memory and inference.",
            "Who are you?", "What are you?", "What is your name?", "Tell me about yourself.", "Are you a chatbot?", "Are you ChatGPT?", "Which model are you?", "What model is this?", "Introduce yourself.", "Who am I talking to?", "Who is there?", "What is this?", "Who is speaking?", "And who are you?", "What are you called?", "Who is this?"),
        new("I can explain terms of GPU memory and inference and do small calculations with sizes.",
            "What can you do?", "How can you help me?", "What do you know?", "What can I ask you?", "Help", "What are you good at?", "What questions can you answer?", "What are your skills?", "What are you for?", "What can you tell me?", "Which things can you do?", "What are you made for?", "Can you help me?", "What are you able to do?"),
        new("Kvasir is software that serves language models and knows where every byte of their memory goes.",
            "What is Kvasir?", "Tell me about Kvasir.", "What does Kvasir do?", "Explain Kvasir.", "What is Kvasir for?", "Do you know Kvasir?", "Please tell me what Kvasir is.", "What is this Kvasir?", "Can you explain what Kvasir is?", "Describe Kvasir.", "Say what Kvasir is.", "Could you tell me what Kvasir is?"),
        new("Hello! Ask me about GPU memory or inference.",
            "Hello", "Hi", "Hello!", "Hi!", "Hey", "Hi there", "Good morning", "Good evening", "Hello there!", "Greetings", "Good day", "Hi there!", "Hey!", "Hello there", "Hello, hello!", "Hey there!"),
        new("I am only a small model, but all my weights are in memory. How can I help?",
            "How are you?", "How are you doing?", "How do you do?", "Are you well?", "How is it going?", "Are you fine?", "Is everything okay?", "How do you feel?", "Are you doing well?", "Are you okay?"),
        new("You are welcome.",
            "Thanks", "Thank you", "Thanks!", "Thank you!", "Thank you very much", "Thanks a lot", "Great, thanks!", "That helps, thank you.", "Thank you so much!", "Thanks a lot!", "Thanks for the help.", "Many, many thanks", "Thanks, that was helpful.", "Many thanks!"),
        new("Goodbye!",
            "Bye", "Goodbye", "Bye!", "See you", "See you later", "Good night", "That is all, bye.", "Bye bye!", "Good night!", "See you!", "Goodbye for now", "Goodbye!"),
        new("I have about 2.4 million parameters, so my weights take about 5 MB in FP16.",
            "How large are you?", "How many parameters do you have?", "How big are you?", "What is your size?", "How big is this model?", "How many weights are in you?", "How many parameters are in this model?", "How much memory do you take?", "How large is this model?", "How many weights do you have?"),
        new("I was trained in C# on text that a program wrote about GPU memory and inference.",
            "How were you trained?", "What were you trained on?", "Who made you?", "Where do you come from?", "What is your training data?", "Who built you?", "Who wrote you?", "How were you made?", "Where were you trained?", "Who has trained this model?", "Who trained you?"),
        new("No, I am a program.",
            "Are you human?", "Are you a human?", "Are you a person?", "Are you a real person?", "Are you alive?", "Is this a person?", "Are you a robot or a human?", "Is there a human?", "Am I talking to a human?", "Is this a real human?", "Is this a human?"),
        new("A GPU walks into a bar and asks for a KV cache. The bartender says: you can have it, one block at a time.",
            "Tell me a joke.", "Do you know a joke?", "Make me laugh.", "Say something funny.", "Can you tell a joke?", "Tell a joke, please.", "I want to hear a joke.", "Say a joke.", "Please make a joke.", "A joke, please."),
    ];

    private static Fact Compare(string one, string other, string answer)
    {
        string[] wordings =
        [
            "What is the difference between {0} and {1}?", "How do {0} and {1} differ?", "Compare {0} and {1}.", "{0} vs {1}", "How does {0} differ from {1}?",
            "Difference between {0} and {1}?", "Explain the difference between {0} and {1}.", "{0} and {1}: what is different?", "{0} versus {1}",
            "Is {0} the same as {1}?", "Are {0} and {1} the same?", "In what way is {0} different from {1}?",
        ];
        IEnumerable<string> both = wordings.SelectMany(wording => new[] { string.Format(wording, one, other), string.Format(wording, other, one) });
        return new(answer, [.. both, $"{one} or {other}: what is the difference?"]);
    }

    public static Exchange DrawField(Random random, bool heldOut) => Ask("fact", random.Pick(Field), random, heldOut);

    public static Exchange DrawTalk(Random random, bool heldOut) => Ask("small talk", random.Pick(Talk), random, heldOut);

    public static Exchange Ask(string kind, Fact fact, Random random, bool heldOut) =>
        new(kind, random.PickWording(fact.Wordings, 1, heldOut), fact.Answer, fact.Answer);
}

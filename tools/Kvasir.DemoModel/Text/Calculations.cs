namespace Kvasir.DemoModel.Text;

/// <summary>The kinds of calculation that the model learns.</summary>
internal static class Calculations
{
    private static readonly (string Name, int HalfBytes)[] Types =
        [("FP32", 8), ("FP16", 4), ("BF16", 4), ("FP8", 2), ("INT8", 2), ("INT4", 1)];

    private static readonly int[] KvHeads = [1, 2, 4, 8, 16, 32];
    private static readonly int[] HeadSizes = [64, 128, 256];
    private static readonly int[] Powers = [16, 32, 64, 128, 256, 512];

    public static readonly Calculation[] All =
    [
        new("weights", r => [r.Next(1, 100), r.Next(Types.Length)], n => [n[0], Types[n[1]].Name], Weights,
            [
                "How much memory do the weights of a {0}B model take in {1}?", "How large is a {0}B model in {1}?", "Size of {0}B parameters in {1}?",
                "How many GB are {0} billion parameters in {1}?", "What do the weights of a {0}B model in {1} need?", "{0}B model, {1}: how much memory?",
                "I want to load a {0}B model in {1}. How much memory do I need?", "How big are the weights of a {0}B model with {1}?",
                "Compute the weight memory of a {0}B model in {1}.", "A model has {0} billion parameters in {1}. How large is it?",
                "What is the size of a {0}B model in {1}?", "weights of {0}B in {1}", "How many gigabytes does a {0}B model need in {1}?",
                "How much space do {0}B parameters take when stored as {1}?", "Tell me the weight size of a {0}B model in {1}.",
            ],
            new(1, "And in {1}?"), new(1, "What about {1}?"), new(0, "And a {0}B model?"), new(0, "What about {0}B?")),
        new("kv per token", DrawKv, n => [n[0], n[1], n[2], Types[n[3]].Name], KvPerToken,
            [
                "How large is the KV cache per token with {0} layers, {1} KV heads, head size {2} and {3}?",
                "KV cache per token: {0} layers, {1} KV heads, head size {2}, {3}?",
                "A model has {0} layers, {1} KV heads and head size {2}. How much KV cache does a token take in {3}?",
                "Compute the KV cache per token for {0} layers, {1} KV heads of size {2} in {3}.",
                "How much memory does one token need in the KV cache with {0} layers, {1} KV heads, head size {2}, {3}?",
                "{0} layers, {1} KV heads, head size {2}, {3}: KV cache per token?",
                "What is the KV size per token of a model with {0} layers, {1} KV heads, head size {2} in {3}?",
                "How many KiB of KV cache per token are {0} layers, {1} KV heads, head size {2} in {3}?",
                "Per token, how big is the KV cache of {0} layers with {1} KV heads, head size {2} in {3}?",
            ],
            new(0, "And with {0} layers?"), new(0, "What about {0} layers?")),
        new("kv of tokens", r => [r.Pick<int>([1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 32]), r.Next(2, 100)], n => [n[0] * 1024, n[1]], KvOfTokens,
            [
                "How much KV cache do {0} tokens take at {1} KiB per token?", "How large is the KV cache of {0} tokens with {1} KiB per token?",
                "KV cache for {0} tokens at {1} KiB each?", "A token takes {1} KiB of KV cache. How much do {0} tokens take?",
                "A sequence has {0} tokens and each needs {1} KiB. How large is its KV cache?", "Compute the KV cache of {0} tokens at {1} KiB per token.",
                "{0} tokens, {1} KiB per token: how much KV cache?", "How many MiB of KV cache are {0} tokens of {1} KiB?",
                "What do {0} tokens need in the KV cache at {1} KiB per token?", "With {1} KiB per token, how much KV cache do {0} tokens need?",
            ],
            new(0, "And for {0} tokens?"), new(1, "And at {1} KiB per token?")),
        new("tokens that fit", r => [r.Next(1, 100), r.Pick(Powers), r.Next(2)], n => [n[0], n[1], n[2] == 0 ? "GiB" : "MiB"], TokensThatFit,
            [
                "How many tokens fit into {0} {2} of KV cache at {1} KiB per token?", "How many tokens fit in {0} {2} with {1} KiB per token?",
                "I have {0} {2} for the KV cache and a token takes {1} KiB. How many tokens fit?", "{0} {2} of KV cache, {1} KiB per token: how many tokens?",
                "At {1} KiB per token, how many tokens does a KV cache of {0} {2} hold?", "How many tokens does {0} {2} of KV cache hold at {1} KiB per token?",
                "Compute how many tokens of {1} KiB fit into {0} {2}.", "A KV cache has {0} {2}. How many tokens of {1} KiB can it hold?",
                "How many tokens can I keep in {0} {2} if each takes {1} KiB?",
            ],
            new(0, "And in {0} {2}?"), new(1, "And at {1} KiB per token?")),
        new("unit conversion", r => [r.Next(2, 65), r.Next(Units.Length)], n => [n[0], Units[n[1]].From, Units[n[1]].To], Convert,
            [
                "How many {2} are {0} {1}?", "Convert {0} {1} to {2}.", "What is {0} {1} in {2}?", "{0} {1} in {2}?", "How much is {0} {1} in {2}?",
                "Express {0} {1} in {2}.", "{0} {1} are how many {2}?", "How many {2} make {0} {1}?", "Write {0} {1} as {2}.",
                "Turn {0} {1} into {2}.", "Please give me {0} {1} in {2}.",
            ],
            new(0, "And {0} {1}?"), new(0, "What about {0} {1}?")),
        new("fits", r => [r.Next(1, 100), r.Next(Types.Length), r.Pick<int>([8, 12, 16, 24, 32, 40, 48, 64, 80, 96])], n => [n[0], Types[n[1]].Name, n[2]], Fits,
            [
                "Does a {0}B model in {1} fit into {2} GB?", "Can I load a {0}B model in {1} on a {2} GB GPU?", "Do the weights of a {0}B model in {1} fit on a GPU with {2} GB?",
                "I have a GPU with {2} GB. Does a {0}B model in {1} fit?", "Is {2} GB enough for a {0}B model in {1}?", "Will {0}B parameters in {1} fit into {2} GB?",
                "{0}B model in {1} on {2} GB: does it fit?", "Does {0}B in {1} fit in {2} GB?",
                "Are {2} GB enough for the weights of a {0}B model in {1}?", "Would a {0}B model in {1} fit on my {2} GB card?",
            ],
            new(1, "And in {1}?"), new(2, "And into {2} GB?"), new(0, "And a {0}B model?")),
        new("total memory", r => [r.Next(1, 200), r.Next(1, 100), r.Next(1, 20)], n => [n[0], n[1], n[2]], Total,
            [
                "The weights take {0} GB, the KV cache {1} GB and the activations {2} GB. How much is that in all?", "Weights {0} GB, KV cache {1} GB, activations {2} GB: total?",
                "How much memory do {0} GB of weights, {1} GB of KV cache and {2} GB of activations need?", "Add {0} GB of weights, {1} GB of KV cache and {2} GB of activations.",
                "What is the total of {0} GB weights, {1} GB KV cache and {2} GB activations?", "I need {0} GB for weights, {1} GB for KV cache and {2} GB for activations. What is the sum?",
                "{0} GB weights + {1} GB KV cache + {2} GB activations?", "Sum up {0} GB of weights, {1} GB of KV cache and {2} GB of activations.",
                "Weights need {0} GB, KV cache {1} GB, activations {2} GB. How much memory together?",
            ]),
        new("memory left", r => { int total = r.Next(8, 200); return [total, r.Next(1, total)]; }, n => [n[0], n[1]], Left,
            [
                "A GPU has {0} GB and the weights take {1} GB. How much is left?", "How much of {0} GB is left after {1} GB of weights?", "{0} GB GPU, {1} GB weights: how much is left for the KV cache?",
                "I have {0} GB and the model takes {1} GB. What remains?", "How much memory remains of {0} GB when {1} GB are used?", "The card has {0} GB, {1} GB are in use. How much is free?",
                "What is left of {0} GB after loading {1} GB?", "With {0} GB in all and {1} GB used, how much is free?", "How many GB stay free if a {0} GB GPU holds {1} GB of weights?",
            ]),
        new("blocks", r => [r.Next(1, 400)], n => [n[0]], Blocks,
            [
                "How many blocks of 16 tokens do {0} tokens need?", "How many KV blocks does a sequence of {0} tokens need with 16 tokens per block?", "A block holds 16 tokens. How many blocks do {0} tokens take?",
                "{0} tokens in blocks of 16: how many blocks?", "How many blocks are needed for {0} tokens, 16 tokens each?", "Blocks of 16 for {0} tokens?", "A prompt has {0} tokens. How many blocks of 16 does it take?",
                "Compute the number of 16-token blocks for {0} tokens.", "With a block size of 16, how many blocks do {0} tokens use?",
            ],
            new(0, "And {0} tokens?"), new(0, "And for {0} tokens?")),
        new("answer time", r => [r.Next(1, 20) * 50, r.Next(1, 20) * 10, r.Next(5, 100)], n => [n[0], n[1], n[2]], AnswerTime,
            [
                "TTFT is {0} ms and TPOT is {2} ms. How long do {1} tokens take?", "How long does an answer of {1} tokens take with TTFT {0} ms and TPOT {2} ms?", "TTFT {0} ms, TPOT {2} ms, {1} tokens: how long?",
                "The first token comes after {0} ms and each of {1} more takes {2} ms. How long is that?", "Compute the time of {1} tokens at TPOT {2} ms after a TTFT of {0} ms.",
                "What is the latency of {1} tokens with a TTFT of {0} ms and a TPOT of {2} ms?", "With TTFT {0} ms and TPOT {2} ms, when are {1} tokens done?",
                "How many ms do {1} tokens need at TTFT {0} ms and TPOT {2} ms?",
            ]),
        new("per GPU", r => { int gpus = r.Pick<int>([2, 4, 8]); return [gpus, gpus * r.Next(1, 61)]; }, n => [n[0], n[1]], PerGpu,
            [
                "{1} GB of weights are split over {0} GPUs. How much does each hold?", "How much does each of {0} GPUs hold of {1} GB of weights?", "Tensor parallel over {0} GPUs with {1} GB of weights: how much per GPU?",
                "I split a model of {1} GB over {0} GPUs. How much is on each?", "A model takes {1} GB. How much is that per GPU with {0} GPUs?", "{1} GB on {0} GPUs: how much per GPU?",
                "With tensor parallelism over {0} GPUs, how much of {1} GB is on each GPU?", "What is the share of each GPU when {1} GB are split over {0} GPUs?",
            ]),
        new("throughput", r => [r.Next(2, 10), r.Next(5, 100)], n => [n[0], n[1]], Throughput,
            [
                "{0} streams get {1} tokens per second each. What is the throughput?", "What is the throughput of {0} streams with {1} tokens per second each?", "How many tokens per second are {0} streams of {1} tokens per second?",
                "Each of {0} sequences decodes {1} tokens per second. How much is that together?", "{0} users read {1} tokens per second each. What throughput is that?", "{0} streams at {1} tokens per second: total?",
                "Compute the throughput of {0} streams at {1} tokens per second.", "If {0} streams run at {1} tokens per second, what is the total throughput?",
            ],
            new(0, "And with {0} streams?"), new(1, "And at {1} tokens per second?")),
        new("heads per group", r => { int kv = r.Pick<int>([1, 2, 4, 8, 16]); return [kv, kv * r.Next(1, 13)]; }, n => [n[0], n[1]], HeadsPerGroup,
            [
                "A model has {1} query heads and {0} KV heads. How many query heads share a KV head?", "{1} query heads, {0} KV heads: how many share one?", "With {1} query heads and {0} KV heads, how large is a group?",
                "How many query heads per KV head are {1} query heads with {0} KV heads?", "What is the group size of GQA with {1} query heads and {0} KV heads?", "How large are the GQA groups for {1} query heads and {0} KV heads?",
                "GQA with {1} query heads and {0} KV heads: what is the group size?", "How many query heads use the same KV head if there are {1} query heads and {0} KV heads?",
            ]),
        new("plain product", r => [r.Next(2, 100), r.Next(2, 10)], n => [n[0], n[1]], n => new(Steps.Multiply(n[0], n[1]) + ".", $"{n[0] * n[1]}"),
            ["What is {0} × {1}?", "{0} × {1}", "{0} times {1}?", "What is {0} times {1}?", "Multiply {0} by {1}.", "Compute {0} × {1}.", "{0} * {1} = ?", "What is {0} * {1}?", "How much is {0} × {1}?", "Calculate {0} times {1}."],
            new(0, "And {0} × {1}?"), new(1, "And {0} times {1}?")),
        new("plain sum", r => [r.Next(1, 500), r.Next(1, 500)], n => [n[0], n[1]], n => new(Steps.Add(n[0], n[1]) + ".", $"{n[0] + n[1]}"),
            ["What is {0} + {1}?", "{0} + {1}", "{0} plus {1}?", "What is {0} plus {1}?", "Add {0} and {1}.", "Compute {0} + {1}.", "{0} + {1} = ?", "What is the sum of {0} and {1}?", "How much is {0} + {1}?", "Calculate {0} plus {1}."],
            new(0, "And {0} + {1}?"), new(1, "And {0} plus {1}?")),
    ];

    private static readonly (string From, string To, int Factor)[] UnitTable =
    [
        ("GiB", "MiB", 1024), ("MiB", "KiB", 1024), ("KiB", "bytes", 1024), ("TiB", "GiB", 1024),
        ("GB", "MB", 1000), ("MB", "KB", 1000), ("TB", "GB", 1000), ("bytes", "bits", 8), ("seconds", "ms", 1000),
    ];

    private static (string From, string To, int Factor)[] Units => UnitTable;

    private static string Half(int halves) => halves % 2 == 0 ? $"{halves / 2}" : $"{halves / 2}.5";

    private static string WeightStep(int billions, int halfBytes) =>
        halfBytes == 1 ? $"{billions} × 0.5 = {Half(billions)}" : Steps.Multiply(billions, halfBytes / 2);

    private static Worked Weights(int[] n)
    {
        string bytes = Half(Types[n[1]].HalfBytes);
        string final = Half(n[0] * Types[n[1]].HalfBytes) + " GB";
        string unit = bytes is "1" or "0.5" ? "byte" : "bytes";
        return new($"{bytes} {unit} per parameter: {WeightStep(n[0], Types[n[1]].HalfBytes)} GB.", final);
    }

    private static int[] DrawKv(Random random)
    {
        while (true)
        {
            int[] n = [random.Next(4, 97), random.Pick(KvHeads), random.Pick(HeadSizes), random.Pick<int>([0, 1, 2, 3])];
            if (KvLayerBytes(n) is >= 1024 and <= 16384)
                return n;
        }
    }

    private static int KvLayerBytes(int[] n) => n[1] * n[2] * Types[n[3]].HalfBytes;

    private static Worked KvPerToken(int[] n)
    {
        int layer = KvLayerBytes(n);
        return new($"Per layer 2 × {n[1]} × {n[2]} × {Half(Types[n[3]].HalfBytes)} = {layer} bytes = {layer / 1024} KiB. {Steps.Multiply(n[0], layer / 1024)} KiB per token.", $"{n[0] * layer / 1024} KiB");
    }

    private static Worked KvOfTokens(int[] n) =>
        new($"{n[0] * 1024} = {n[0]} × 1024 tokens, and 1024 tokens take {n[1]} MiB. {Steps.Multiply(n[1], n[0])} MiB.", $"{n[0] * n[1]} MiB");

    private static Worked TokensThatFit(int[] n) => n[2] == 0
        ? new($"1 GiB holds {1024 / n[1]}K tokens of {n[1]} KiB. {Steps.Multiply(n[0], 1024 / n[1])}K tokens, where K is 1024.", $"{n[0] * (1024 / n[1])}K tokens")
        : new($"1 MiB holds {1024 / n[1]} tokens of {n[1]} KiB. {Steps.Multiply(n[0], 1024 / n[1])} tokens.", $"{n[0] * (1024 / n[1])} tokens");

    private static Worked Convert(int[] n)
    {
        (string from, string to, int factor) = Units[n[1]];
        int result = n[0] * factor;
        string one = from is "bytes" or "seconds" ? from[..^1] : from;
        string work = factor switch
        {
            1024 => $"{Steps.Multiply(n[0], 24)}, so {n[0]} × 1024 = {n[0]}000 + {n[0] * 24} = {result}",
            1000 => $"{n[0]} × 1000 = {result}",
            _ => Steps.Multiply(n[0], factor),
        };
        return new($"1 {one} is {factor} {to}. {work} {to}.", $"{result} {to}");
    }

    private static Worked Fits(int[] n)
    {
        int halves = n[0] * Types[n[1]].HalfBytes;
        string need = Half(halves);
        string verdict = halves < 2 * n[2] ? $"{need} is less than {n[2]}, so it fits."
            : halves == 2 * n[2] ? $"{need} is all of {n[2]}, so nothing is left and it does not fit."
            : $"{need} is more than {n[2]}, so it does not fit.";
        return new($"{WeightStep(n[0], Types[n[1]].HalfBytes)} GB. {verdict}", halves < 2 * n[2] ? "so it fits" : "does not fit");
    }

    private static Worked Total(int[] n) =>
        new($"{Steps.Add(n[0], n[1])}, {Steps.Add(n[0] + n[1], n[2])} GB.", $"{n[0] + n[1] + n[2]} GB");

    private static Worked Left(int[] n) => new($"{Steps.Subtract(n[0], n[1])} GB.", $"{n[0] - n[1]} GB");

    private static Worked Blocks(int[] n)
    {
        int blocks = (n[0] + 15) / 16;
        string plural = blocks == 1 ? "block" : "blocks";
        string work = n[0] % 16 == 0 ? $"{blocks} × 16 = {n[0]}"
            : $"{blocks - 1} × 16 = {(blocks - 1) * 16} is too few, {blocks} × 16 = {blocks * 16} is enough";
        return new($"{work}: {blocks} {plural}.", $"{blocks} {plural}");
    }

    private static Worked AnswerTime(int[] n) =>
        new($"{Steps.Multiply(n[2], n[1])} ms. {Steps.Add(n[2] * n[1], n[0])} ms.", $"{n[2] * n[1] + n[0]} ms");

    private static Worked PerGpu(int[] n) => new($"{Steps.Divide(n[1], n[0])} GB per GPU.", $"{n[1] / n[0]} GB");

    private static Worked Throughput(int[] n) => new($"{Steps.Multiply(n[1], n[0])} tokens per second.", $"{n[0] * n[1]} tokens per second");

    private static Worked HeadsPerGroup(int[] n) =>
        new($"{Steps.Divide(n[1], n[0])} query heads per KV head.", $"{n[1] / n[0]} query heads");
}

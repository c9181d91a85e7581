using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Kvasir.Checkpoints;
using Kvasir.Cli.Rendering;
using Kvasir.Engine;
using Kvasir.Protocol.OpenAi;

namespace Kvasir.Cli.Commands;

/// <summary><c>kvasir chat</c>: talk to a model.</summary>
public static class ChatCommand
{
    /// <summary>Describes the command.</summary>
    public static Command Create()
    {
        var model = ModelArgument.Optional();
        var system = new Option<string?>("--system") { Description = "Text that tells the model who it is." };
        var maxTokens = new Option<int?>("--max-tokens") { Description = "Most tokens of one answer." };
        var temperature = new Option<double?>("--temperature") { Description = "0 takes the most likely token, 1 the model's own distribution; without it, the model's default." };
        var seed = new Option<long?>("--seed") { Description = "Same seed, same answers." };
        var flags = new EngineFlags();
        var command = new KvasirCommand("chat", "Talk to a model; over a pipe, each line is one message.",
            "kvasir chat",
            "kvasir chat model.gguf --system \"Answer in one sentence.\"",
            "echo \"What is a KV cache?\" | kvasir chat")
        {
            model, system, maxTokens, temperature, seed,
        };
        flags.AddTo(command);
        command.SetAction((parse, cancel) =>
        {
            if (parse.GetValue(temperature) is < 0 or > 2) throw new UsageException($"--temperature {parse.GetValue(temperature)} is not between 0 and 2.");
            if (parse.GetValue(maxTokens) is < 1) throw new UsageException($"--max-tokens {parse.GetValue(maxTokens)} is not at least 1.");
            var sampling = new SamplingFields { Temperature = parse.GetValue(temperature), MaxTokens = parse.GetValue(maxTokens), Seed = parse.GetValue(seed) };
            return RunAsync(parse.GetValue(model), parse.GetValue(system), sampling, flags.Read(parse) with { MaxSequences = 1 }, cancel);
        });
        return command;
    }

    private static async Task<int> RunAsync(string? model, string? system, SamplingFields sampling, EngineOptions options, CancellationToken cancel)
    {
        await using var engine = await LoadAsync(await LocalModel.ResolveAsync(model ?? DemoModel.Path, cancel), options);
        var isTerminal = !Console.IsInputRedirected && !Console.IsOutputRedirected;
        using var input = Input.OpenStandard();
        using var output = Output.Open();
        output.AutoFlush = true;
        var chat = new ChatSession(engine, sampling, output, system);
        if (isTerminal) Console.Error.WriteLine($"{engine.Name}, up to {engine.Engine.ContextTokens:#,0} tokens. /help lists commands, Ctrl-C interrupts an answer, Ctrl-D leaves.");
        while (true)
        {
            if (isTerminal) output.Write("> ");
            if (await input.ReadLineAsync(cancel) is not { } line) break;
            if (line.Trim().Length == 0) continue;
            if (line.StartsWith('/'))
            {
                if (!chat.Command(line.Trim(), Console.Error)) break;
                continue;
            }
            if (!await chat.AnswerAsync(line) && !isTerminal) return Failures.Failed;
        }
        if (isTerminal) output.WriteLine();
        return 0;
    }

    private static async Task<KvasirEngine> LoadAsync(string path, EngineOptions options)
    {
        using var bar = new LoadingBar();
        return await KvasirEngine.LoadAsync(path, new KvasirOptions { Engine = options }, bar);
    }
}

/// <summary>One conversation and its commands.</summary>
internal sealed class ChatSession(KvasirEngine engine, SamplingFields sampling, TextWriter output, string? system)
{
    private const string Help = """
        /help           this list
        /reset          forget the conversation
        /system TEXT    tell the model who it is, and forget the conversation
        /history        show the conversation
        /memory         show where memory is
        /exit           leave
        """;

    private readonly List<JsonObject> history = [];
    private string? system = system;

    /// <summary>Runs a command; false to leave.</summary>
    public bool Command(string line, TextWriter notes)
    {
        var (name, argument) = line.IndexOf(' ') is > 0 and var space ? (line[..space], line[(space + 1)..].Trim()) : (line, "");
        switch (name)
        {
            case "/exit" or "/quit" or "/bye":
                return false;
            case "/reset":
                history.Clear();
                notes.WriteLine("The conversation is forgotten.");
                break;
            case "/system":
                history.Clear();
                system = argument.Length > 0 ? argument : null;
                notes.WriteLine(system is null ? "No system text." : "System text set; the conversation is forgotten.");
                break;
            case "/history":
                foreach (var message in Messages()) notes.WriteLine($"{message!["role"]}: {message["content"]}");
                break;
            case "/memory":
                foreach (var entry in engine.Engine.Ledger.Lines()) notes.WriteLine($"{entry.Name,-14} {new ByteSize(entry.Bytes),12}");
                break;
            case "/help":
                notes.WriteLine(Help);
                break;
            default:
                notes.WriteLine($"{name} is not a command; /help lists them.");
                break;
        }
        return true;
    }

    /// <summary>Answers a message; false when it could not be answered, which then is forgotten.</summary>
    public async Task<bool> AnswerAsync(string text)
    {
        history.Add(new JsonObject { ["role"] = "user", ["content"] = text });
        using var interrupt = new CancellationTokenSource();
        void Interrupt(object? sender, ConsoleCancelEventArgs pressed)
        {
            pressed.Cancel = true;
            interrupt.Cancel();
        }
        Console.CancelKeyPress += Interrupt;
        try
        {
            if (await StreamAsync(interrupt.Token) is not { } answer)
            {
                history.RemoveAt(history.Count - 1);
                return false;
            }
            history.Add(new JsonObject { ["role"] = "assistant", ["content"] = answer });
            return true;
        }
        finally
        {
            Console.CancelKeyPress -= Interrupt;
        }
    }

    private JsonArray Messages()
    {
        var messages = new JsonArray();
        if (system is not null) messages.Add((JsonNode)new JsonObject { ["role"] = "system", ["content"] = system });
        foreach (var message in history) messages.Add(message.DeepClone());
        return messages;
    }

    private async Task<string?> StreamAsync(CancellationToken cancel)
    {
        var pipeline = engine.Pipeline;
        if (!pipeline.TryRender(new ChatPrompt(Messages()), out var prompt, out var failure)
            || !pipeline.TryStartChat(pipeline.Request(pipeline.EncodeChat(prompt), sampling), 1, out var generation, out failure))
        {
            Console.Error.WriteLine(failure.Kind == FailureKind.ContextExceeded ? $"{failure.Message} /reset begins anew." : failure.Message);
            return null;
        }
        await using var leaving = generation;
        var answer = new StringBuilder();
        try
        {
            await foreach (var part in generation.ReadAsync(cancel))
            {
                // Models often begin with a space or a line feed that only separates them from the question.
                var text = answer.Length == 0 ? part.Text.TrimStart() : part.Text;
                answer.Append(text);
                await output.WriteAsync(text);
            }
        }
        catch (OperationCanceledException)
        {
            await output.WriteAsync(" …");
        }
        await output.WriteLineAsync();
        return answer.ToString();
    }
}

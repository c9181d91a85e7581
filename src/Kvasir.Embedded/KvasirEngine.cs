using Kvasir.Checkpoints;
using Kvasir.Checkpoints.ChatTemplates;
using Kvasir.Checkpoints.Remote;
using Kvasir.Engine;
using Kvasir.Engine.Model;

namespace Kvasir;

/// <summary>A model in this process: its files, its tokenizer and chat template, and the engine that runs it.</summary>
public sealed class KvasirEngine : IAsyncDisposable
{
    private KvasirEngine(string name, Checkpoint checkpoint, LlmEngine engine, ChatPipeline pipeline) =>
        (Name, Checkpoint, Engine, Pipeline) = (name, checkpoint, engine, pipeline);

    /// <summary>The name the model goes by.</summary>
    public string Name { get; }

    /// <summary>The model's files.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>Tokens in, tokens out.</summary>
    public LlmEngine Engine { get; }

    /// <summary>Text in, text out.</summary>
    public ChatPipeline Pipeline { get; }

    /// <summary>Loads a model.</summary>
    /// <param name="path">A GGUF file, the first of a split set, a Hugging Face folder, or hf:org/name[/file.gguf], which is downloaded unless the cache has it.</param>
    /// <param name="options">How to run it.</param>
    /// <param name="progress">Told how many bytes of weights are ready.</param>
    /// <param name="cancel">Stops a download; gives up before loading begins.</param>
    /// <exception cref="CheckpointException">The files are damaged, or of a model that is not supported.</exception>
    /// <exception cref="MemoryBudgetException">The model does not fit the memory.</exception>
    public static async Task<KvasirEngine> LoadAsync(string path, KvasirOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default)
    {
        if (HubModel.IsHubName(path)) path = await HubDownload.FetchAsync(HubModel.Parse(path), HubOptions.FromEnvironment(), cancel: cancel).ConfigureAwait(false);
        return await Task.Run(() => Load(Checkpoint.Open(path), options ?? new KvasirOptions(), progress), cancel).ConfigureAwait(false);
    }

    /// <summary>This model as a chat client of Microsoft.Extensions.AI; disposing of the client leaves the model loaded.</summary>
    public KvasirChatClient AsChatClient() => new(this);

    /// <summary>Ends what is running and gives all memory back.</summary>
    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync().ConfigureAwait(false);
        Checkpoint.Dispose();
    }

    /// <summary>Loads a model that is open, and owns its files from now on, also where that fails.</summary>
    internal static KvasirEngine Load(Checkpoint checkpoint, KvasirOptions options, IProgress<LoadProgress>? progress)
    {
        try
        {
            var tokenizer = checkpoint.Tokenizer;
            var source = options.ChatTemplate ?? checkpoint.ChatTemplateSource;
            var template = source is null ? null : ChatTemplate.Parse(source);
            var engine = LlmEngine.Create(checkpoint, CanaryText.Fill(options.Engine, tokenizer), progress, options.Time);
            var pipeline = new ChatPipeline(tokenizer, template, checkpoint.Defaults, engine, options);
            return new KvasirEngine(options.ModelName ?? NameOf(checkpoint.Path), checkpoint, engine, pipeline);
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>The name of a model that is given none: "qwen3-0.6b" for <c>models/qwen3-0.6b-00001-of-00002.gguf</c>.</summary>
    public static string NameOf(string path)
    {
        var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        if (name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) name = name[..^5];
        var split = System.Text.RegularExpressions.Regex.Match(name, @"-\d{5}-of-\d{5}$");
        return split.Success ? name[..split.Index] : name;
    }
}

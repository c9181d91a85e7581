using System.CommandLine;

namespace Kvasir.Cli;

/// <summary>The MODEL that most commands take.</summary>
public static class ModelArgument
{
    private const string Forms = "A GGUF file, a Hugging Face folder, or hf:org/name[/file.gguf] (downloaded once; HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE and KVASIR_CACHE apply)";

    /// <summary>A model that must be named.</summary>
    public static Argument<string> Required() => new("MODEL") { Description = $"{Forms}." };

    /// <summary>Any number of models; without one, the demo model.</summary>
    public static Argument<string[]> Several() => new("MODEL")
    {
        Description = $"{Forms}; several share --memory and are asked for by name; without one, the demo model.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    /// <summary>A model that may be left out: the demo model then.</summary>
    public static Argument<string?> Optional() => new("MODEL")
    {
        Description = $"{Forms}; without it, the demo model.",
        Arity = ArgumentArity.ZeroOrOne,
    };
}

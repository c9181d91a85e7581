namespace Kvasir.Planning.Engines;

/// <summary>The engines whose rules are known.</summary>
public static class EngineCatalogue
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<EngineRules> All { get; } = [new VllmRules(), new SgLangRules(), new TensorRtLlmRules(), new MaxRules(), new LlamaCppRules(), new KvasirRules()];

    /// <summary>Their names.</summary>
    public static IEnumerable<string> Names => All.Select(engine => engine.Name);

    /// <summary>The engine of that name, or null.</summary>
    public static EngineRules? Find(string name)
    {
        var key = Key(name);
        return All.FirstOrDefault(engine => Key(engine.Name) == key || (key is "tensorrtllm" && engine is TensorRtLlmRules) || (key is "ollama" && engine is LlamaCppRules));
    }

    private static string Key(string name) => new([.. name.Where(char.IsAsciiLetterOrDigit).Select(char.ToLowerInvariant)]);
}

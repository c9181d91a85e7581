using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Kvasir.Gateway.Configuration;

/// <summary>A mapping of a YAML file whose entries are taken one by one; what is wrong or left over is named with its line.</summary>
internal sealed class YamlSection
{
    private readonly string _file, _place;
    private readonly Dictionary<string, YamlNode> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _lines = new(StringComparer.Ordinal);
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly long _line;

    private YamlSection(string file, string place, YamlNode node)
    {
        (_file, _place, _line) = (file, place, node.Start.Line);
        if (node is YamlScalarNode { Value: null or "" or "~" or "null" }) return;
        if (node is not YamlMappingNode mapping) throw Wrong(node, $"{place} is not a mapping of names to values");
        foreach (var (key, value) in mapping.Children)
        {
            var name = (key as YamlScalarNode)?.Value ?? throw Wrong(key, $"{place} has a name that is no text");
            _entries[name] = value;
            _lines[name] = key.Start.Line;
        }
    }

    /// <summary>The root of a file's text.</summary>
    /// <exception cref="GatewayConfigurationException">It is not YAML, or no mapping.</exception>
    public static YamlSection Parse(string file, string text)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(text));
        }
        catch (YamlException error)
        {
            throw new GatewayConfigurationException($"{file}, line {error.Start.Line}: not YAML: {error.Message}", error);
        }
        return stream.Documents.Count == 0 ? throw new GatewayConfigurationException($"{file} is empty; name at least one worker under workers:.") : new YamlSection(file, "the file", stream.Documents[0].RootNode);
    }

    /// <summary>The line it begins on, for errors.</summary>
    public long Line => _line;

    public string? Text(string name) => Take(name) switch
    {
        null => null,
        YamlScalarNode { Value: { Length: > 0 } value } => value,
        var other => throw Wrong(other, $"{name} is not a text"),
    };

    public string Required(string name) => Text(name) ?? throw new GatewayConfigurationException($"{_file}, line {_line}: {_place} lacks {name}.");

    public double? Number(string name, double least, double most)
    {
        if (Take(name) is not { } node) return null;
        return node is YamlScalarNode scalar && double.TryParse(scalar.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
            ? value : throw Wrong(node, string.Create(CultureInfo.InvariantCulture, $"{name}: {Shown(node)} is not a number between {least} and {most}"));
    }

    public int? Whole(string name, int least, int most)
    {
        if (Take(name) is not { } node) return null;
        return node is YamlScalarNode scalar && int.TryParse(scalar.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
            ? value : throw Wrong(node, $"{name}: {Shown(node)} is not a whole number between {least} and {most}");
    }

    public TimeSpan? Seconds(string name, double least, double most) => Number(name, least, most) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;

    /// <summary>A value that <paramref name="parse"/> turns into something, or says null to.</summary>
    public T? Parsed<T>(string name, string expected, Func<string, T?> parse) where T : struct
    {
        if (Take(name) is not { } node) return null;
        return node is YamlScalarNode { Value: { } text } && parse(text) is { } value ? value : throw Wrong(node, $"{name}: {Shown(node)} is not {expected}");
    }

    public Uri? Address(string name, params string[] schemes)
    {
        if (Take(name) is not { } node) return null;
        return node is YamlScalarNode scalar && Uri.TryCreate(scalar.Value, UriKind.Absolute, out var address) && schemes.Contains(address.Scheme)
            ? address : throw Wrong(node, $"{name}: {Shown(node)} is not an address; write {schemes[0]}://host:port");
    }

    public IEnumerable<string> Texts(string name) => Take(name) switch
    {
        null => [],
        YamlSequenceNode list => list.Children.Select(item => (item as YamlScalarNode)?.Value is { Length: > 0 } text ? text : throw Wrong(item, $"an entry of {name} is not a text")),
        var other => throw Wrong(other, $"{name} is not a list"),
    };

    public YamlSection? Section(string name) => Take(name) is { } node ? new YamlSection(_file, name, node) : null;

    public IEnumerable<YamlSection> Sections(string name) => Take(name) switch
    {
        null => [],
        YamlSequenceNode list => list.Children.Select((item, i) => new YamlSection(_file, $"entry {i + 1} of {name}", item)),
        var other => throw Wrong(other, $"{name} is not a list"),
    };

    /// <summary>An error about an entry.</summary>
    public GatewayConfigurationException Wrong(string name, string what) => new($"{_file}, line {_lines.GetValueOrDefault(name, _line)}: {what}.");

    /// <summary>Entries that nobody took are misspelt.</summary>
    public void End()
    {
        foreach (var (name, line) in _lines)
            if (!_known.Contains(name))
                throw new GatewayConfigurationException($"{_file}, line {line}: {_place} has no '{name}'; it has {string.Join(", ", _known.Order(StringComparer.Ordinal))}.");
    }

    private YamlNode? Take(string name)
    {
        _known.Add(name);
        return _entries.TryGetValue(name, out var node) && node is not YamlScalarNode { Style: ScalarStyle.Plain, Value: "" or "~" or "null" } ? node : null;
    }

    private static string Shown(YamlNode node) => node is YamlScalarNode scalar ? $"'{scalar.Value}'" : "a list or mapping";

    private GatewayConfigurationException Wrong(YamlNode node, string what) => new($"{_file}, line {node.Start.Line}: {what}.");
}

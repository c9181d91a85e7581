namespace Kvasir.Checkpoints.ChatTemplates;

/// <summary>What may follow <c>is</c>.</summary>
internal static class Tests
{
    public static bool Apply(string name, object? value, CallArguments arguments) => ApplyPlain(name, Markup.Plain(value), arguments);

    private static bool ApplyPlain(string name, object? value, CallArguments arguments) => name switch
    {
        "defined" => value is not Undefined,
        "undefined" => value is Undefined,
        "none" => value is null,
        "string" => value is string,
        "mapping" => value is DictValue,
        "sequence" => value is string or List<object?> or DictValue,
        "iterable" => value is string or List<object?> or DictValue or GeneratorValue or Undefined,
        "number" => Values.IsNumber(value),
        "integer" => value is System.Numerics.BigInteger,
        "float" => value is double,
        "boolean" => value is bool,
        "true" => value is true,
        "false" => value is false,
        "callable" => value is Callable,
        "odd" => !Whole(value).IsEven,
        "even" => Whole(value).IsEven,
        "divisibleby" => (Whole(value) % Whole(arguments.Require(0, "number", name))).IsZero,
        "lower" => Values.Text(value) is var text && text.Any(char.IsLower) && !text.Any(char.IsUpper),
        "upper" => Values.Text(value) is var text && text.Any(char.IsUpper) && !text.Any(char.IsLower),
        "in" => Members.Contains(arguments.Require(0, "container", name), value),
        "sameas" => arguments.Require(0, "other", name) is var other && (ReferenceEquals(value, other) || (value is bool or null && Values.Equals(value, other) && value?.GetType() == other?.GetType())),
        "escaped" => false,
        "filter" => value is string filter && Filters.IsKnown(filter),
        "test" => value is string,
        "eq" or "equalto" or "==" => Evaluator.Holds("==", value, arguments.Require(0, "other", name)),
        "ne" or "!=" => Evaluator.Holds("!=", value, arguments.Require(0, "other", name)),
        "lt" or "lessthan" or "<" => Evaluator.Holds("<", value, arguments.Require(0, "other", name)),
        "le" or "<=" => Evaluator.Holds("<=", value, arguments.Require(0, "other", name)),
        "gt" or "greaterthan" or ">" => Evaluator.Holds(">", value, arguments.Require(0, "other", name)),
        "ge" or ">=" => Evaluator.Holds(">=", value, arguments.Require(0, "other", name)),
        _ => throw new ChatTemplateException($"There is no test named '{name}'."),
    };

    private static System.Numerics.BigInteger Whole(object? value) => Values.Number(value) ?? throw new ChatTemplateException($"{Values.TypeName(value)} is not an integer.");
}

using System.Text.Json.Nodes;
using Kvasir.Checkpoints.ChatTemplates;

namespace Kvasir.Checkpoints.Tests.ChatTemplates;

/// <summary>Small templates and what Jinja2 3.1 makes of them.</summary>
public sealed class ChatTemplateTests
{
    private static string Render(string template, string context = "{}") =>
        ChatTemplate.Parse(template).Render(JsonNode.Parse(context)!.AsObject(), new DateTimeOffset(2026, 7, 4, 9, 5, 0, TimeSpan.Zero));

    [Theory]
    [InlineData("{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 7 / 2 }}", "3 -4 2 1024 3.5")]
    [InlineData("{{ 1.0 }} {{ 1e20 }} {{ 0.1 + 0.2 }} {{ 100000000000000000000 }}", "1.0 1e+20 0.30000000000000004 100000000000000000000")]
    [InlineData("{{ [1, 'a', none, true] }} {{ {'k': (1,)} }}", "[1, 'a', None, True] {'k': (1,)}")]
    [InlineData("{{ 'a' ~ 1 ~ none }}{{ missing }}", "a1None")]
    [InlineData("{{ 1 < 2 < 3 }} {{ 'b' in 'abc' }} {{ 2 not in [1] }}", "True True True")]
    [InlineData("{{ 'x' if false else 'y' }}{{ 'z' if false }}", "y")]
    [InlineData("{{ 'hello'[1:3] }}{{ [1,2,3][::-1] }}{{ 'abc'[-1] }}", "el[3, 2, 1]c")]
    [InlineData("{% for x in [1,2,3] if x != 2 %}{{ loop.index }}:{{ x }}{{ ',' if not loop.last }}{% else %}none{% endfor %}", "1:1,2:3")]
    [InlineData("{% for x in [] %}{% else %}none{% endfor %}", "none")]
    [InlineData("{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}", "02")]
    [InlineData("{% set ns = namespace(n=0) %}{% for x in [1,2] %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}", "3")]
    [InlineData("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "1")]
    [InlineData("{% macro m(a, b='B') %}{{ a }}{{ b }}{% endmacro %}{{ m('A') }}{{ m('A', b='C') }}", "ABAC")]
    [InlineData("{% macro box() %}[{{ caller() }}]{% endmacro %}{% call box() %}in{% endcall %}", "[in]")]
    [InlineData("{% for n in tree recursive %}{{ n.v }}{{ loop(n.c) if n.c }}{% endfor %}", "123")]
    [InlineData("{% filter upper %}a{{ 'b' }}{% endfilter %}{% set t %} x {% endset %}{{ t|trim }}", "ABx")]
    [InlineData("{{ {'b': 1, 'a': 'é'}|tojson }}{{ {'a': [1]}|tojson(indent=2) }}", "{\"b\": 1, \"a\": \"é\"}{\n  \"a\": [\n    1\n  ]\n}")]
    [InlineData("{{ ['b', 'A']|sort }}{{ ['b', 'A']|sort(case_sensitive=true) }}{{ [3,1]|sort(reverse=true) }}", "['A', 'b']['A', 'b'][3, 1]")]
    [InlineData("{{ [{'n': 'x'}, {'n': 'y'}]|map(attribute='n')|join('-') }}", "x-y")]
    [InlineData("{{ [{'a': 1}, {'a': 2}]|selectattr('a', 'gt', 1)|list }}", "[{'a': 2}]")]
    [InlineData("{{ ' x\ty '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}", "['x', 'y']['a', 'b,c']['a,b', 'c']")]
    [InlineData("{{ 'x'|default('d') }}{{ missing|default('d') }}{{ ''|default('d', true) }}", "xdd")]
    [InlineData("{{ '%s=%d' % ('a', 3) }}{{ '{}-{k}'.format(1, k=2) }}{{ '%.2f' % 1.5 }}", "a=31-21.50")]
    [InlineData("{{ strftime_now('%d %B %Y %H:%M') }}", "04 July 2026 09:05")]
    [InlineData("{% raw %}{{ x }}{% endraw %}{# gone #}", "{{ x }}")]
    [InlineData("a\n  {% if true %}\n  b\n  {% endif %}\nc", "a\n  b\nc")]
    [InlineData("a {%- if true -%} b {%- endif -%} c", "abc")]
    [InlineData("{{ 'a<b'|e }}{{ 'x'|safe + '<' }}{{ '<' ~ 'x'|safe }}", "a&lt;bx&lt;<x")]
    [InlineData("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}{{ {'a': 1}.get('b', 2) }}", "a12")]
    [InlineData("{{ 42.55|round(1) }} {{ '3.7'|int }} {{ 'x'|int(5) }} {{ '2'|float }}", "42.5 3 5 2.0")]
    public void Renders_as_Jinja_does(string template, string expected) =>
        Assert.Equal(expected, Render(template, """{"tree": [{"v": 1, "c": [{"v": 2, "c": []}]}, {"v": 3, "c": []}]}"""));

    [Theory]
    [InlineData("{{ missing.attribute }}", "missing")]
    [InlineData("{{ raise_exception('no such role') }}", "no such role")]
    [InlineData("{% if true %}", "endif")]
    [InlineData("{{ 1 + 'a' }}", "+")]
    [InlineData("{{ [1].append(2) }}", "append")]
    [InlineData("{{ 'x'|nosuch }}", "nosuch")]
    [InlineData("{{ 1 // 0 }}", "zero")]
    [InlineData("{% include 'x' %}", "include")]
    [InlineData("{{ 'a", "not closed")]
    public void Errors_say_what_is_wrong_and_where(string template, string part)
    {
        var error = Assert.Throws<ChatTemplateException>(() => Render(template));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.Equal(1, error.Line);
    }

    [Theory]
    [InlineData("{% for i in range(100000000) %}{% endfor %}")]
    [InlineData("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")]
    [InlineData("{{ 'x' * 100000000000 }}")]
    [InlineData("{{ 9 ** 9 ** 9 }}")]
    [InlineData("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}")]
    public void Hostile_templates_end_with_an_error(string template) =>
        Assert.Throws<ChatTemplateException>(() => Render(template));

    [Fact]
    public void Deep_nesting_is_refused_before_the_stack_ends()
    {
        Assert.Throws<ChatTemplateException>(() => Render("{{ " + new string('(', 100_000) + "1" + new string(')', 100_000) + " }}"));
        Assert.Throws<ChatTemplateException>(() => Render(string.Concat(Enumerable.Repeat("{% if true %}", 10_000))));
        Assert.Throws<ChatTemplateException>(() => Render("{{ " + string.Concat(Enumerable.Repeat("not ", 100_000)) + "1 }}"));
        Assert.Throws<ChatTemplateException>(() => Render("{{ " + new string('-', 100_000) + "1 }}"));
    }

    [Fact]
    public void Damaged_templates_give_an_error_or_text()
    {
        const string template = "{%- for m in messages %}{{ '<|' + m['role'] + '|>' + m.content | trim }}{% if loop.last and not x is defined %}{{ [1,2][0:1] }}{% endif %}{% endfor -%}";
        var random = new Random(7);
        for (var i = 0; i < 4000; i++)
        {
            var mutated = template.ToCharArray();
            for (var changes = random.Next(1, 5); changes > 0; changes--)
                mutated[random.Next(mutated.Length)] = "{}%#|()[]'\"-.,:=~ax1 \n"[random.Next(22)];
            var text = new string(mutated)[..random.Next(mutated.Length + 1)];
            try
            {
                Render(text, """{"messages": [{"role": "user", "content": " hi "}]}""");
            }
            catch (ChatTemplateException)
            {
                // The only error that may leave the interpreter.
            }
        }
    }
}

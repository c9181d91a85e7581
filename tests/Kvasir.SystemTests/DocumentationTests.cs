using System.Text.RegularExpressions;

namespace Kvasir.SystemTests;

/// <summary>What the documentation says is held by a test is held by a test.</summary>
public sealed partial class DocumentationTests
{
    [Theory]
    [InlineData("docs/reference/kv-events.md", 25)]
    [InlineData("docs/reference/gateway.md", 15)]
    public void Tests_that_are_named_exist(string page, int least)
    {
        var tests = Repository.SourceFiles("tests").Where(file => file.EndsWith("Tests.cs", StringComparison.Ordinal))
            .ToLookup(file => Path.GetFileNameWithoutExtension(file), Repository.Read);
        var named = TestPattern().Matches(Repository.Read(page)).Select(match => (Class: match.Groups[1].Value, Method: match.Groups[2].Value)).Distinct().ToArray();
        Assert.All(named, test => Assert.Contains(tests[test.Class], code => Regex.IsMatch(code, $@"public .*\b{test.Method}\(")));
        Assert.True(named.Length >= least, $"{page} names {named.Length} tests.");
    }

    [GeneratedRegex(@"`(\w+Tests)\.(\w+)`")]
    private static partial Regex TestPattern();
}

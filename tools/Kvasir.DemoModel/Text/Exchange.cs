namespace Kvasir.DemoModel.Text;

/// <summary>One question with the one answer that counts as right.</summary>
/// <param name="Kind">What is asked for, as the evaluation's table names it.</param>
/// <param name="Question">What the user writes.</param>
/// <param name="Answer">The whole answer.</param>
/// <param name="Final">What an answer must contain to be right: the last quantity of a calculation, else the whole answer.</param>
/// <param name="FollowUp">Writes a question that only makes sense after this one; null where there is none.</param>
internal sealed record Exchange(string Kind, string Question, string Answer, string Final, Func<Random, Exchange>? FollowUp = null);

/// <summary>A chat: an optional system prompt and the exchanges in order.</summary>
internal sealed record Conversation(string? System, IReadOnlyList<Exchange> Exchanges);

using System.CommandLine;
using Kvasir.DemoModel.Network;
using Kvasir.DemoModel.Text;
using Kvasir.DemoModel.Training;
using Kvasir.DemoModel.Vocabulary;

namespace Kvasir.DemoModel.Commands;

/// <summary>vocabulary: learns merges from the text as it is now.</summary>
internal static class VocabularyCommand
{
    private const int Conversations = 20000;

    public static Command Create()
    {
        var command = new Command("vocabulary", """
            Learns a byte-level BPE vocabulary from the training text and prints its merges. A network trained with
            another vocabulary is of no use with it.

            Examples:
              vocabulary > tools/Kvasir.DemoModel/Vocabulary/merges.txt
            """);
        command.SetAction(_ =>
        {
            var random = new Random(Trainer.Seed);
            IEnumerable<string> texts = Enumerable.Range(0, Conversations).SelectMany(_ => Author.Write(random).Exchanges)
                .SelectMany(exchange => new[] { exchange.Question, exchange.Answer });
            BytePairVocabulary vocabulary = BytePairTrainer.Train([.. texts, .. Enumerable.Repeat("system\nuser\nassistant\n", 1000)], Shape.Vocabulary);
            foreach (string merge in vocabulary.SpellMerges())
                Console.WriteLine(merge);
        });
        return command;
    }
}

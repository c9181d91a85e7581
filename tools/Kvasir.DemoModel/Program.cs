using Kvasir.DemoModel.Text;
using Kvasir.DemoModel.Training;
using TorchSharp;

const int seed = 1;
switch (args)
{
    case ["text", var count]:
        var random = new Random(seed);
        for (int i = 0; i < int.Parse(count); i++)
        {
            foreach (Exchange exchange in Author.Write(random).Exchanges)
                Console.WriteLine($"{exchange.Kind}\n  Q {exchange.Question}\n  A {exchange.Answer}");
        }
        return 0;
    case ["train", var folder, var steps, var threads]:
        torch.set_num_threads(int.Parse(threads));
        new Trainer(folder, int.Parse(steps), seed, Console.Out).Run();
        return 0;
    default:
        return 2;
}

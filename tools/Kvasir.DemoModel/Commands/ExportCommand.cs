using System.CommandLine;
using Kvasir.Checkpoints;
using Kvasir.DemoModel.Export;
using Kvasir.DemoModel.Training;
using Kvasir.DemoModel.Vocabulary;

namespace Kvasir.DemoModel.Commands;

/// <summary>export: writes a snapshot as checkpoints that engines read.</summary>
internal static class ExportCommand
{
    public static Command Create()
    {
        var folder = new Argument<string>("FOLDER") { Description = "holds the snapshot" };
        var output = new Option<string>("--output") { Description = "receives kvasir-demo.gguf and hf/", DefaultValueFactory = _ => "models/demo" };
        var command = new Command("export", """
            Writes the trained model as a GGUF file and as a Hugging Face directory, both in F16.

            Examples:
              export artifacts/demo
              export artifacts/demo --output /tmp/demo
            """) { folder, output };
        command.SetAction(parse =>
        {
            (int step, double seconds, Dictionary<string, float[]> snapshot) = Snapshot.Read(Path.Combine(parse.GetRequiredValue(folder), Trainer.SnapshotName));
            List<DemoTensor> tensors = DemoTensors.Of(snapshot);
            var vocabulary = new VocabularyFiles(BytePairVocabulary.Load());
            string target = parse.GetValue(output)!;
            string gguf = Path.Combine(target, "kvasir-demo.gguf"), huggingFace = Path.Combine(target, "hf");
            GgufExport.Write(gguf, tensors, vocabulary);
            HuggingFaceExport.Write(huggingFace, tensors, vocabulary);
            Console.WriteLine($"step {step}, {seconds:F0} s of training");
            Report(gguf);
            Report(huggingFace);
        });
        return command;
    }

    private static void Report(string path)
    {
        using Checkpoint written = Checkpoint.Open(path);
        Console.WriteLine($"{path}: {written.Spec.Architecture}, {written.Spec.ParameterCount} parameters, {new ByteSize(written.FileBytes)}");
    }
}

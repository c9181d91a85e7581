using TorchSharp;
using static TorchSharp.torch;

namespace Kvasir.DemoModel.Training;

/// <summary>A training run on disk: the step, the seconds spent, the weights and the optimizer's state, all in F32.</summary>
internal static class Snapshot
{
    public static void Write(string path, int step, double seconds, IEnumerable<(string Name, Tensor Value)> tensors)
    {
        string partial = path + ".partial";
        using (var output = new BinaryWriter(File.Create(partial)))
        {
            output.Write(step);
            output.Write(seconds);
            foreach ((string name, Tensor value) in tensors)
            {
                float[] values = value.detach().data<float>().ToArray();
                output.Write(name);
                output.Write(values.Length);
                foreach (float single in values)
                    output.Write(single);
            }
        }
        File.Move(partial, path, overwrite: true);
    }

    /// <summary>The step, the seconds and every tensor's values by name.</summary>
    public static (int Step, double Seconds, Dictionary<string, float[]> Tensors) Read(string path)
    {
        using var input = new BinaryReader(new BufferedStream(File.OpenRead(path), 1 << 16));
        int step = input.ReadInt32();
        double seconds = input.ReadDouble();
        var tensors = new Dictionary<string, float[]>();
        while (input.BaseStream.Position < input.BaseStream.Length)
        {
            string name = input.ReadString();
            var values = new float[input.ReadInt32()];
            for (int i = 0; i < values.Length; i++)
                values[i] = input.ReadSingle();
            tensors.Add(name, values);
        }
        return (step, seconds, tensors);
    }

    public static void Restore(Dictionary<string, float[]> tensors, IEnumerable<(string Name, Tensor Value)> into)
    {
        using IDisposable frozen = no_grad();
        foreach ((string name, Tensor value) in into)
        {
            using Tensor read = tensor(tensors[name]).reshape(value.shape);
            value.copy_(read);
        }
    }
}

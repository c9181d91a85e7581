using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Kvasir.Checkpoints;

/// <summary>Reads float tensors that are small enough to be copied: rotary factors, norms.</summary>
internal static class TensorFloats
{
    // Rotary factors have half a head's size.
    private const int MaximumElements = 1 << 20;

    public static ImmutableArray<float> Read(TensorEntry tensor, MappedFile file)
    {
        if (tensor.Rows * tensor.Columns > MaximumElements || tensor.Type.BlockLength() != 1)
            throw new CheckpointException($"{file.FilePath}: tensor \"{tensor.Name}\" is {tensor.Type} of shape [{string.Join(", ", tensor.Shape)}]; a short list of floats was expected.");
        var bytes = file.Bytes(tensor.Offset, (int)tensor.ByteLength);
        var values = new float[(int)(tensor.Rows * tensor.Columns)];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = tensor.Type switch
            {
                TensorType.F32 => MemoryMarshal.Read<float>(bytes[(4 * i)..]),
                TensorType.F16 => (float)MemoryMarshal.Read<Half>(bytes[(2 * i)..]),
                _ => BitConverter.UInt32BitsToSingle((uint)MemoryMarshal.Read<ushort>(bytes[(2 * i)..]) << 16),
            };
        }
        return ImmutableCollectionsMarshal.AsImmutableArray(values);
    }
}

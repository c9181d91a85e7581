using System.Runtime.InteropServices;

namespace Kvasir.DemoModel.Export;

/// <summary>One tensor under both formats' names, rounded to F16.</summary>
/// <param name="Gguf">Name in GGUF.</param>
/// <param name="HuggingFace">Name in safetensors.</param>
/// <param name="Shape">Dimensions, outermost first.</param>
/// <param name="Values">Row by row, in Hugging Face's order.</param>
/// <param name="HeadSize">Rows of a head where RoPE turns the outputs, else 0.</param>
internal sealed record DemoTensor(string Gguf, string HuggingFace, long[] Shape, Half[] Values, int HeadSize = 0)
{
    public bool IsVector => Shape.Length == 1;

    /// <summary>F16 in Hugging Face's order of rows.</summary>
    public void WriteHuggingFace(Stream stream) => stream.Write(MemoryMarshal.AsBytes(Values.AsSpan()));

    /// <summary>
    /// F16 in GGUF's order of rows: Llama's rotary embedding turns neighbours there, so the halves of a head become pairs.
    /// Vectors are F32, for llama.cpp multiplies norms in F32 only.
    /// </summary>
    public void WriteGguf(Stream stream)
    {
        if (IsVector)
        {
            stream.Write(MemoryMarshal.AsBytes(Array.ConvertAll(Values, value => (float)value).AsSpan()));
            return;
        }
        int columns = (int)Shape[1];
        for (int row = 0; row < Shape[0]; row++)
            stream.Write(MemoryMarshal.AsBytes(Values.AsSpan(SourceRow(row) * columns, columns)));
    }

    private int SourceRow(int row)
    {
        if (HeadSize == 0)
            return row;
        int within = row % HeadSize;
        return row - within + within % 2 * (HeadSize / 2) + within / 2;
    }
}

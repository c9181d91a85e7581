using Kvasir.Checkpoints;

namespace Kvasir.Synthesis;

/// <summary>What a tensor's values look like.</summary>
internal enum SyntheticValues
{
    /// <summary>Random with mean zero.</summary>
    Matrix,
    /// <summary>Near one; stored minus one by Gemma in safetensors.</summary>
    Norm,
    /// <summary>Near zero.</summary>
    Bias,
}

/// <summary>One tensor of a random model, under both formats' names.</summary>
/// <param name="Gguf">Name in GGUF.</param>
/// <param name="HuggingFace">Name in safetensors.</param>
/// <param name="Values">What values look like.</param>
/// <param name="Rows">Rows; 1 for vectors.</param>
/// <param name="Columns">Columns.</param>
/// <param name="Type">Type in GGUF.</param>
/// <param name="RotatedHeadSize">Head size where GGUF's llama layout reorders rows into adjacent pairs, else 0.</param>
internal sealed record SyntheticTensor(
    string Gguf, string HuggingFace, SyntheticValues Values, int Rows, int Columns, TensorType Type, int RotatedHeadSize = 0)
{
    public long[] Shape => Values == SyntheticValues.Matrix ? [Rows, Columns] : [Columns];

    /// <summary>
    /// Writes rows in safetensors' order, or in GGUF's. A row's values depend on its own number and on the model's seed alone,
    /// so that both formats hold the same model.
    /// </summary>
    public void Write(Stream stream, SyntheticModel model, TensorType type, bool gguf)
    {
        if (Values != SyntheticValues.Matrix)
        {
            WriteVector(stream, model, type, gguf);
            return;
        }
        var embedding = Gguf == "token_embd.weight" && !model.IsTied;
        var unwritten = Gguf == "output.weight" && model.Words ? SyntheticTokenizer.FirstPieceId : 0;
        var filler = new RandomRow(type, embedding ? 1 : 1 / Math.Sqrt(Columns));
        var rowBytes = (int)type.RowBytes(Columns);
        var chunk = new byte[rowBytes * Math.Clamp((1 << 20) / rowBytes, 1, Rows)];
        for (var row = 0; row < Rows;)
        {
            var used = 0;
            for (; used < chunk.Length && row < Rows; used += rowBytes, row++)
            {
                var random = new RandomBits(model.Seed, Gguf, gguf ? Source(row) : row);
                if (row < unwritten) chunk.AsSpan(used, rowBytes).Clear();
                else filler.Fill(chunk.AsSpan(used, rowBytes), ref random);
            }
            stream.Write(chunk, 0, used);
        }
    }

    /// <summary>The row in safetensors' order that GGUF has at this place: halves of a head become pairs.</summary>
    private int Source(int row)
    {
        if (RotatedHeadSize == 0) return row;
        int head = row / RotatedHeadSize, within = row % RotatedHeadSize;
        return head * RotatedHeadSize + within % 2 * (RotatedHeadSize / 2) + within / 2;
    }

    private void WriteVector(Stream stream, SyntheticModel model, TensorType type, bool gguf)
    {
        var bytes = new byte[type.RowBytes(Columns)];
        var storedMinusOne = Values == SyntheticValues.Norm && model.IsGemma && !gguf;
        for (var i = 0; i < Columns; i++)
        {
            var random = new RandomBits(model.Seed, Gguf, gguf ? Source(i) : i);
            // 128ths are exact in every float type, with one added or not.
            var value = ((int)(random.Next() % 32) - 16) / 128f + (Values == SyntheticValues.Norm && !storedMinusOne ? 1 : 0);
            switch (type)
            {
                case TensorType.F32: BitConverter.TryWriteBytes(bytes.AsSpan(4 * i), value); break;
                case TensorType.F16: BitConverter.TryWriteBytes(bytes.AsSpan(2 * i), (Half)value); break;
                default: BitConverter.TryWriteBytes(bytes.AsSpan(2 * i), RandomRow.ToBFloat16(value)); break;
            }
        }
        stream.Write(bytes);
    }
}

/** Between our parameters and the tensors of a checkpoint: fused rows cut apart and put together, Conv1D weights transposed. */
import type { TensorPart } from "../models/family";

/** Rows of the parameter that a part fills, and values per row. */
function extent({ shape, transposed }: TensorPart): { rows: number; columns: number } {
  const [first = 1, second = 1] = shape;
  return transposed ? { rows: second, columns: first } : { rows: first, columns: second };
}

/** Number of the parameter's values that a part holds. */
export function partSize(part: TensorPart): number {
  const { rows, columns } = extent(part);
  return rows * columns;
}

/** Where a part begins among the parameter's values. */
export function firstElement(part: TensorPart): number {
  return part.firstRow * extent(part).columns;
}

/** Writes a tensor's values to its rows of a parameter's values. */
export function fillPart(part: TensorPart, values: Float32Array, parameter: Float32Array): void {
  const { rows, columns } = extent(part);
  const start = part.firstRow * columns;
  if (!part.transposed) {
    parameter.set(values, start);
    return;
  }
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) parameter[start + r * columns + c] = values[c * rows + r] as number;
  }
}

/** A tensor's values from its rows of a parameter's values: the inverse of {@link fillPart}. */
export function extractPart(part: TensorPart, parameter: Float32Array): Float32Array {
  const { rows, columns } = extent(part);
  const start = part.firstRow * columns;
  if (!part.transposed) return parameter.slice(start, start + rows * columns);
  const values = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) values[c * rows + r] = parameter[start + r * columns + c] as number;
  }
  return values;
}

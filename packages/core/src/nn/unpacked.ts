/** A weight's values in f32 on its device, for the few uses that need more than products. */
import { type Device, ops, WEIGHT_FORMATS } from "@trimtab/kernels";
import { allocate, type Tensor, upload } from "../tensor/tensor";
import type { PackedParameter, Weight } from "./parameters";

/** Writes the f32 values of a packed matrix to `values` (out, in). */
export function unpackInto(device: Device, { packed, shape, format }: PackedParameter, values: Tensor): void {
  const ids = upload(
    device,
    Uint32Array.from({ length: shape[0] as number }, (_, row) => row),
  );
  device.dispatch(ops.packedWeight.rows, { tensors: { ids, w: packed, y: values }, scalars: { format: WEIGHT_FORMATS[format].id } });
  device.free(ids.buffer);
}

/** Runs `use` with the weight's values (out, in): its own where they are in f32, else a copy that is freed afterwards. */
export function withValues<Result>(device: Device, weight: Weight, use: (values: Tensor) => Result): Result {
  if (!("packed" in weight)) return use(weight.value);
  const values = allocate(device, weight.shape);
  try {
    unpackInto(device, weight, values);
    return use(values);
  } finally {
    device.free(values.buffer);
  }
}

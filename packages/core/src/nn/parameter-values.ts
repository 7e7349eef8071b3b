/** Values of whole parameters, however many parts they are kept in. */
import { type Device, elementCount } from "@trimtab/kernels";
import { type Tensor, windowOf } from "../tensor/tensor";

/** What lies in one buffer: consecutive rows. */
interface Part {
  readonly shape: readonly number[];
  readonly value: Tensor;
}

/** Reads a parameter's values, or its gradient with `of`; zeros of a part without. */
export async function readValues<P extends Part>(
  device: Device,
  { shape, parts }: { readonly shape: readonly number[]; readonly parts: readonly P[] },
  of: (part: P) => Tensor | undefined = (part) => part.value,
): Promise<Float32Array> {
  const only = parts.length === 1 && of(parts[0] as P);
  if (only) return (await device.read(only)) as Float32Array;
  const values = new Float32Array(elementCount(shape));
  let at = 0;
  for (const part of parts) {
    const tensor = of(part);
    if (tensor) values.set((await device.read(tensor)) as Float32Array, at);
    at += elementCount(part.shape);
  }
  return values;
}

/** Writes a parameter's values from element `begin` on, where a window may start. Default: from its beginning. */
export function writeValues(device: Device, { parts }: { readonly parts: readonly Part[] }, values: Float32Array, begin = 0): void {
  const end = begin + values.length;
  let first = 0;
  for (const { value, shape } of parts) {
    const last = first + elementCount(shape);
    const [from, to] = [Math.max(begin, first), Math.min(end, last)];
    if (from < to) device.write(windowOf(value, from - first, [to - from]), values.subarray(from - begin, to - begin));
    first = last;
  }
}

/** Copies a parameter's values to another one of its shape on the same device. */
export function copyValues(device: Device, from: { readonly parts: readonly Part[] }, to: { readonly parts: readonly Part[] }): void {
  from.parts.forEach(({ value }, i) => {
    device.copy(value, (to.parts[i] as Part).value);
  });
}

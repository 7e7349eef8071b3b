/** A linear layer with an adapter: the base's product, and the low-rank one added to it. The formulas are those of lora.ts. */
import { BINARY_KINDS, elementCount, ops } from "@trimtab/kernels";
import { add, affine, binary } from "../autograd/elementwise";
import { rowIndex, tableRows } from "../autograd/gather";
import { reshaped } from "../autograd/reshape";
import { Tape } from "../autograd/tape";
import { dropout } from "../nn/dropout";
import { linear } from "../nn/linear";
import type { Parameter, Weight } from "../nn/parameters";
import { product, scaleColumns } from "../nn/product";
import { withValues } from "../nn/unpacked";
import { allocate, reshape, type Tensor, upload } from "../tensor/tensor";
import { tableOf } from "../tensor/token-table";
import { type Lora, type LoraGroup, rowNorms } from "./lora";

interface LinearOptions {
  readonly bias?: Parameter | undefined;
  readonly addend?: Tensor | undefined;
}

/** x (N, in), w (out, in) -> (N, out) */
export function adaptedLinear(tape: Tape, x: Tensor, w: Weight, lora: Lora, group: LoraGroup, options: LinearOptions): Tensor {
  const dropped = dropout(tape, x, lora.settings.loraDropout, group.ordinal);
  const inner = scaled(tape, linear(tape, dropped, lora.a(group)), group); // (N, T R)
  if (!group.magnitudes) return outward(tape, inner, lora, group, linear(tape, x, w, options));
  // DoRA takes the dropped input for the base's part as well, as PEFT does.
  const directed = outward(tape, inner, lora, group, linear(tape, dropped, w));
  let y = scaleColumns(tape, directed, outputGains(tape, w, lora, group));
  if (dropped !== x) y = add(tape, y, undropped(tape, x, dropped, w));
  if (options.bias) y = add(tape, y, repeatedBias(tape, options.bias, x.shape[0] as number));
  return options.addend ? add(tape, y, options.addend) : y;
}

/** inner (N, T R) through B, added to `addend` (N, out). */
function outward(tape: Tape, inner: Tensor, lora: Lora, group: LoraGroup, addend: Tensor): Tensor {
  const b = lora.b(group);
  return group.blocks ? product(tape, inner, tableRows(tape, b, group.blocks), addend) : linear(tape, inner, b, { addend });
}

/** Columns times the scale of their module. */
function scaled(tape: Tape, inner: Tensor, { scales, rank }: LoraGroup): Tensor {
  const [first] = scales as readonly [number];
  if (scales.every((scale) => scale === first)) return affine(tape, inner, first);
  const row = Float32Array.from({ length: scales.length * rank }, (_, i) => scales[Math.floor(i / rank)] as number);
  return scaleColumns(tape, inner, tape.constant(row, [1, row.length]));
}

/** g, (1, out): 1 where an output has no adapter. */
function outputGains(tape: Tape, w: Weight, lora: Lora, group: LoraGroup): Tensor {
  const { magnitudes, outputs } = group;
  if (!magnitudes) throw new TypeError("outputGains: not a group of DoRA.");
  const norms = tape.alloc([outputs, 1]);
  const merged = withValues(tape.device, w, (values) => withUpdate(lora, group, values));
  const computed = rowNorms(tape.device, merged);
  tape.device.copy(computed, norms);
  for (const { buffer } of [merged, computed]) tape.device.free(buffer);
  const gains = binary(tape, "div", tableRows(tape, lora.magnitude(group), magnitudes), norms); // (out, 1)
  return reshaped(tape, add(tape, binary(tape, "keep", gains, magnitudes.adapted), magnitudes.others), [1, outputs]);
}

/** (x - dropped) Wᵀ: PEFT adds (g - 1) ⊙ (dropped Wᵀ) to x Wᵀ, where the input of the first is dropped and that of the second is not. */
function undropped(tape: Tape, x: Tensor, dropped: Tensor, w: Weight): Tensor {
  return linear(tape, binary(tape, "sub", x, dropped), w);
}

function repeatedBias(tape: Tape, bias: Parameter, rows: number): Tensor {
  const shape = [1, bias.shape[0] as number];
  const table = tableOf(reshape(bias.value, shape), bias.grad && reshape(bias.grad, shape));
  return tableRows(tape, table, rowIndex(tape, new Uint32Array(rows)));
}

/** W + s B A, (out, in), w (out, in); the caller frees it. */
export function withUpdate(lora: Lora, group: LoraGroup, w: Tensor): Tensor {
  const { device } = lora;
  const { outputs, inputs, scales, rank, blocks } = group;
  const [a, b] = [lora.a(group).value, lora.b(group).value];
  const width = scales.length * rank;
  const flat = (tensor: Tensor) => reshape(tensor, [elementCount(tensor.shape)]);
  const placed = allocate(device, [outputs, width]);
  if (blocks) {
    const y = reshape(placed, [outputs * scales.length, rank]);
    device.dispatch(ops.embedding.forward, { tensors: { table: b, ids: blocks.ids, y }, scalars: { first: 0 } });
  } else device.copy(b, placed);
  const rows = upload(
    device,
    Float32Array.from({ length: width }, (_, i) => scales[Math.floor(i / rank)] as number),
  );
  const offsets = upload(
    device,
    Uint32Array.from({ length: width + 1 }, (_, i) => i * inputs),
  );
  const [factors, scaledA, update] = [allocate(device, a.shape), allocate(device, a.shape), allocate(device, [outputs, inputs])];
  device.dispatch(ops.segment.broadcast, { tensors: { y: rows, offsets, x: flat(factors) } });
  device.dispatch(ops.binary.forward, { tensors: { x: flat(a), y: flat(factors), z: flat(scaledA) }, scalars: { kind: BINARY_KINDS.mul } });
  device.dispatch(ops.matmul.backwardInput, { tensors: { dy: placed, w: scaledA, dx: update } });
  device.dispatch(ops.accumulate.add, { tensors: { x: flat(w), y: flat(update) } });
  for (const { buffer } of [placed, rows, offsets, factors, scaledA]) device.free(buffer);
  return update;
}

/** The weights (out, in) that do what the layer with its adapter does; the caller frees them. */
export function mergedWeight(lora: Lora, group: LoraGroup, w: Weight): Tensor {
  const { device } = lora;
  const sum = withValues(device, w, (values) => withUpdate(lora, group, values));
  if (!group.magnitudes) return sum;
  const tape = new Tape(device, { grad: false });
  const gains = outputGains(tape, w, lora, group);
  const { outputs, inputs } = group;
  const count = outputs * inputs;
  const [factors, merged] = [allocate(device, [count]), allocate(device, [outputs, inputs])];
  const offsets = tape.constant(Uint32Array.from({ length: outputs + 1 }, (_, i) => i * inputs));
  tape.run(ops.segment.broadcast, { y: reshape(gains, [outputs]), offsets, x: factors });
  const flat = { x: reshape(sum, [count]), y: factors, z: reshape(merged, [count]) };
  tape.run(ops.binary.forward, flat, { kind: BINARY_KINDS.mul });
  tape.dispose();
  for (const { buffer } of [sum, factors]) device.free(buffer);
  return merged;
}

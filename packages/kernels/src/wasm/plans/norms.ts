/** Plans of the norms' backward passes. */
import { DeviceError } from "../../errors";
import { SCRATCH_BYTES } from "../layout";
import { columnSums } from "./matmul";
import { type Plan, type PlanCall, phase } from "./plan";

/** Rows of one partial sum of a parameter gradient: few enough partials, blocks enough for threads. */
function normBlock(rowCount: number): { block: number; count: number } {
  const block = Math.max(16, Math.ceil(rowCount / 64));
  return { block, count: Math.ceil(rowCount / block) };
}

/** `weights`: the parameter gradients by name, and the letter of each one's length. */
export const normBackward =
  (kernel: string, weights: Readonly<Record<string, string>>, rowWidth: (call: PlanCall) => number): Plan =>
  (call) => {
    const N = call.value("N");
    const { block, count } = normBlock(N);
    const widths = Object.entries(weights).map(([weight, letter]) => ({ weight, width: call.value(letter) }));
    // Thread scratch holds w beside the sums over a block's rows.
    const needed = 64 + 8 * widths.reduce((sum, { width }) => sum + width, 0);
    if (needed > SCRATCH_BYTES) {
      throw new DeviceError(
        `${call.entry.name}: a row's gradients must fit the thread scratch of ${SCRATCH_BYTES} bytes, got ${needed} bytes. Use fewer channels.`,
      );
    }
    const partials = widths.map(({ width }) => call.scratch(count * width * 4));
    const pointers = call.entry.tensors.filter((t) => !t.accumulates).map((t) => call.pointer(t.name));
    const numbers = [...call.entry.dims, ...call.entry.scalars.map((s) => s.name)].map((name) => call.value(name));
    return [
      phase(kernel, [...pointers, ...partials, ...numbers, block], count, block * rowWidth(call) * 0.6),
      ...widths.map(({ weight, width }, i) => columnSums(partials[i] as number, call.pointer(weight), count, width)),
    ];
  };

export const channels = (call: PlanCall) => call.value("C");
export const headRow = (call: PlanCall) => call.value("H") * call.value("A") + 2 * call.value("K") * call.value("B");

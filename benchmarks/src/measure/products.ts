/** Square matrix products in the three layouts of a linear layer. */
import { allocate, type Device } from "@trimtab/core";
import { type EntryPoint, ops } from "@trimtab/kernels";
import type { Contestant } from "./timing";

/** y = x wᵀ, dx = dy w, dw = dyᵀ x. */
export type Layout = "NT" | "NN" | "TN";

export const layouts: readonly Layout[] = ["NT", "NN", "TN"];

/** What each layout is for, with its tensors in contract order. */
const PRODUCTS: Record<Layout, { entry: EntryPoint; tensors: readonly [string, string, string] }> = {
  NT: { entry: ops.matmul.forward, tensors: ["x", "w", "y"] },
  NN: { entry: ops.matmul.backwardInput, tensors: ["dy", "w", "dx"] },
  TN: { entry: ops.matmul.backwardWeight, tensors: ["dy", "x", "dw"] },
};

/** `times` products of two (n, n) matrices, one after another; 2 n³ operations each. */
export function makeProduct(
  name: string,
  device: Device,
  layout: Layout,
  n: number,
  times = 1,
): { readonly contestant: Contestant; readonly dispose: () => void } {
  const { entry, tensors } = PRODUCTS[layout];
  const made = tensors.map(() => allocate(device, [n, n]));
  for (const tensor of made)
    device.write(
      tensor,
      Float32Array.from({ length: n * n }, (_, i) => ((i * 7919) % 97) / 97 - 0.5),
    );
  const args = { tensors: Object.fromEntries(tensors.map((key, i) => [key, made[i]])) };
  return {
    contestant: {
      name,
      run: () => {
        for (let i = 0; i < times; i++) device.dispatch(entry, args);
        return device.sync();
      },
    },
    dispose: () => {
      for (const { buffer } of made) device.free(buffer);
    },
  };
}

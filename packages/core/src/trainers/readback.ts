/** Everything an optimiser step wants to know, in one buffer, so that a step has one readback. */
import { type Device, ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import { alignElements, allocate, type Tensor, windowOf } from "../tensor/tensor";

export class Readback {
  readonly #device: Device;
  readonly #buffer: Tensor;
  readonly #windows: Tensor[] = [];

  /** One window per length, for device results to be written to. */
  constructor(device: Device, lengths: readonly number[]) {
    this.#device = device;
    const total = lengths.reduce((sum, length) => sum + alignElements(length), 0);
    this.#buffer = allocate(device, [total]);
    let at = 0;
    for (const length of lengths) {
      this.#windows.push(windowOf(this.#buffer, at, [length]));
      at += alignElements(length);
    }
  }

  /** Where result `i` belongs. */
  window(i: number): Tensor {
    return this.#windows[i] as Tensor;
  }

  /** Writes Σ x, x (N), to window `i` of length 1. */
  sum(tape: Tape, x: Tensor, i: number): void {
    const offsets = tape.constant(Uint32Array.of(0, x.shape[0] as number));
    tape.run(ops.segment.sum, { x, offsets, y: this.window(i) });
  }

  /** Copies a tensor to window `i`. */
  copy(x: Tensor, i: number): void {
    this.#device.copy(x, this.window(i));
  }

  /** The windows' values: the one readback. */
  async read(): Promise<Float32Array[]> {
    const values = (await this.#device.read(this.#buffer)) as Float32Array;
    return this.#windows.map(({ byteOffset, shape }) => values.subarray(byteOffset / 4, byteOffset / 4 + (shape[0] as number)));
  }

  dispose(): void {
    this.#device.free(this.#buffer.buffer);
  }
}

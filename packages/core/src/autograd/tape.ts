/**
 * The tape: runs ops, remembers what their backward passes need, and owns every intermediate tensor.
 *
 * Lifetimes follow from order. In a recording tape a tensor lives until the backward pass of the op that made it has run:
 * everything that reads it was recorded later and so has run already. In a tape that does not record, `block` frees what
 * its function allocated except the result. Parameters live outside; their gradients accumulate (`+=`).
 */
import {
  type Device,
  type DispatchArgs,
  type Dtype,
  type EntryPoint,
  elementCount,
  type MemoryKind,
  ops,
  type TensorData,
} from "@trimtab/kernels";
import { allocate, reshape, type Tensor, upload } from "../tensor/tensor";

interface TapeNode {
  readonly owned: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Reads `tape.grad` of the outputs, adds gradients to the inputs. Not run when no output has a gradient. */
  readonly backward: () => void;
}

export interface TapeOptions {
  /** Record for a backward pass. Default true. */
  readonly grad?: boolean;
  /** Recompute each `block` in the backward pass instead of keeping its activations. Default false. */
  readonly checkpoint?: boolean;
  /** The words that dropout draws from; without them nothing is left out. */
  readonly draw?: readonly [lo: number, hi: number] | undefined;
}

export class Tape {
  readonly device: Device;
  readonly draw: TapeOptions["draw"];
  readonly #checkpoint: boolean;
  #recording: boolean;
  #nodes: TapeNode[] = [];
  /** Tensors allocated since the last record, or since the innermost scope began. */
  #fresh: Tensor[] = [];
  /** Constants and results that live as long as the tape. */
  #kept: Tensor[] = [];
  readonly #grads = new Map<Tensor, Tensor>();

  constructor(device: Device, options: TapeOptions = {}) {
    this.device = device;
    this.#recording = options.grad ?? true;
    this.#checkpoint = options.checkpoint ?? false;
    this.draw = options.draw;
  }

  get recording(): boolean {
    return this.#recording;
  }

  /** A new tensor owned by this tape, contents undefined. */
  alloc(shape: readonly number[], dtype: Dtype = "f32", kind: MemoryKind = "activations"): Tensor {
    const tensor = allocate(this.device, shape, dtype, kind);
    this.#fresh.push(tensor);
    return tensor;
  }

  /** Uploads data that lives as long as the tape: token ids, offsets, advantages. */
  constant(data: TensorData, shape?: readonly number[]): Tensor {
    const tensor = upload(this.device, data, shape);
    this.#kept.push(tensor);
    return tensor;
  }

  run(entry: EntryPoint, tensors: DispatchArgs["tensors"], scalars?: DispatchArgs["scalars"]): void {
    this.device.dispatch(entry, scalars ? { tensors, scalars } : { tensors });
  }

  /** Remembers how to go back through what has just run. In-place ops pass the tensor they changed as their output. */
  record(outputs: readonly Tensor[], backward: () => void): void {
    if (!this.#recording) return;
    this.#nodes.push({ owned: this.#fresh, outputs, backward });
    this.#fresh = [];
  }

  /** The gradient that has arrived at a tensor so far; undefined means zero. Valid until the tensor's own node has run. */
  grad(tensor: Tensor): Tensor | undefined {
    return this.#grads.get(tensor);
  }

  /** Like `grad`, but a tensor of zeros where nothing has arrived. */
  gradOrZero(tensor: Tensor): Tensor {
    const present = this.#grads.get(tensor);
    if (present) return present;
    const zeros = allocate(this.device, tensor.shape, "f32", "activations");
    this.run(ops.fill.set, { y: flat(zeros) }, { value: 0 });
    this.#grads.set(tensor, zeros);
    return zeros;
  }

  /** Computes a gradient for `tensor` with `write`, which must overwrite the tensor it is given, and adds it to what has arrived. */
  addGrad(tensor: Tensor, write: (gradient: Tensor) => void): void {
    const gradient = allocate(this.device, tensor.shape, "f32", "activations");
    write(gradient);
    this.#arrive(tensor, gradient);
  }

  /** Like `addGrad`, for a `write` that itself adds to the tensor it is given where `accumulate` is 1, and overwrites it where that is 0. */
  accumulateGrad(tensor: Tensor, write: (gradient: Tensor, accumulate: 0 | 1) => void): void {
    const present = this.#grads.get(tensor);
    if (present) write(present, 1);
    else this.addGrad(tensor, (gradient) => write(gradient, 0));
  }

  /** Hands the gradient of `from` on to `to` unchanged: the last thing a backward function may do with it. */
  passGrad(from: Tensor, to: Tensor): void {
    const gradient = this.#grads.get(from);
    if (!gradient) return;
    this.#grads.delete(from);
    this.#arrive(to, { ...gradient, shape: to.shape });
  }

  /** Starts with given gradients (copied) and runs the tape backwards, freeing as it goes. */
  backward(roots: readonly (readonly [Tensor, Tensor])[]): void {
    for (const [tensor, gradient] of roots) this.addGrad(tensor, (g) => this.device.copy(gradient, g));
    this.#unwind(0);
  }

  /**
   * One layer of a model. Not recording: frees what `fn` allocated, except its result, and `x`, which is used up. Recording
   * with checkpointing: runs `fn` without recording and again, recorded, in the backward pass. Otherwise: just runs it.
   */
  block(x: Tensor, fn: (x: Tensor) => Tensor): Tensor {
    if (!this.#recording) {
      const y = this.#scope(() => fn(x));
      this.#consume(x, y);
      return y;
    }
    if (!this.#checkpoint) return fn(x);
    this.#recording = false;
    let y: Tensor;
    try {
      y = this.#scope(() => fn(x));
    } finally {
      this.#recording = true;
    }
    this.record([y], () => {
      const start = this.#nodes.length;
      const again = fn(x);
      this.passGrad(y, again);
      this.#unwind(start);
    });
    return y;
  }

  /** Frees everything the tape still owns. */
  dispose(): void {
    for (const node of this.#nodes) this.#release(node.owned);
    this.#release(this.#fresh);
    this.#release(this.#kept);
    for (const gradient of this.#grads.values()) this.device.free(gradient.buffer);
    this.#nodes = [];
    this.#fresh = [];
    this.#kept = [];
    this.#grads.clear();
  }

  #arrive(tensor: Tensor, gradient: Tensor): void {
    const present = this.#grads.get(tensor);
    if (!present) {
      this.#grads.set(tensor, gradient);
      return;
    }
    this.run(ops.accumulate.add, { x: flat(gradient), y: flat(present) });
    this.device.free(gradient.buffer);
  }

  #unwind(start: number): void {
    while (this.#nodes.length > start) {
      const node = this.#nodes.pop() as TapeNode;
      if (node.outputs.some((output) => this.#grads.has(output))) node.backward();
      for (const tensor of node.owned) {
        const gradient = this.#grads.get(tensor);
        if (!gradient) continue;
        this.#grads.delete(tensor);
        this.device.free(gradient.buffer);
      }
      this.#release(node.owned);
    }
  }

  #scope(fn: () => Tensor): Tensor {
    const outer = this.#fresh;
    this.#fresh = [];
    let result: Tensor | undefined;
    try {
      result = fn();
    } finally {
      const kept = result?.buffer;
      this.#release(this.#fresh.filter((tensor) => tensor.buffer !== kept));
      this.#fresh = outer;
    }
    if (!outer.some((tensor) => tensor.buffer === result.buffer)) outer.push(result);
    return result;
  }

  /** Frees `x` where this tape owns it and `y` does not live in it. */
  #consume(x: Tensor, y: Tensor): void {
    const at = x.buffer === y.buffer ? -1 : this.#fresh.findIndex((tensor) => tensor.buffer === x.buffer);
    if (at >= 0) this.#release(this.#fresh.splice(at, 1));
  }

  #release(tensors: readonly Tensor[]): void {
    for (const tensor of tensors) this.device.free(tensor.buffer);
  }
}

function flat(tensor: Tensor): Tensor {
  return reshape(tensor, [elementCount(tensor.shape)]);
}

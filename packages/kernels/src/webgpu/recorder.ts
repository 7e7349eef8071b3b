/** Records dispatches and copies into one command encoder, with parameters in a uniform ring and cached bind groups. */
import type { Compiled, PipelineCache } from "./pipelines";
import { MAX_PARAM_BYTES } from "./pipelines";
import type { Block } from "./pool";
import type { Program } from "./program";
import type { TimeReport, Timestamps } from "./timestamps";

/** Bytes [offset, offset + bytes) of a block. */
export interface Binding {
  readonly block: Block;
  readonly offset: number;
  readonly bytes: number;
}

/** Workgroups in x, y and z. */
export type Grid = readonly [number, number, number];

/** Dispatches per command buffer: enough to make a submit cheap, few enough to keep the GPU busy while recording. */
const DISPATCHES_PER_BATCH = 256;
/** Parameter buffers in turn, so that writing the next batch's does not wait for the last batch's. */
const RING = 3;
/** Bind groups kept; a ragged batch has new sizes in every step, so the cache must not grow for ever. */
const MAX_BIND_GROUPS = 8192;
const BUFFER_USAGE = { uniform: 0x40, storage: 0x80, copyDst: 0x8 } as const;
/** Bytes of a stand-in for an absent or empty tensor, and how many there are: no two writable bindings may overlap. */
const EMPTY_BYTES = 256;
const EMPTY_SLOTS = 16;

/** Runs work inside error scopes. */
export type Guard = <T>(work: () => T) => T;

export class Recorder {
  /** Number of the batch being recorded; a block whose `batch` equals it has unsubmitted work. */
  batch = 0;
  dispatches = 0;
  copies = 0;
  readonly #device: GPUDevice;
  readonly #pipelines: PipelineCache;
  readonly #guard: Guard;
  readonly #timestamps: Timestamps | undefined;
  readonly #stride: number;
  readonly #ring: { readonly buffer: GPUBuffer; readonly group: GPUBindGroup }[];
  readonly #staging = new ArrayBuffer(DISPATCHES_PER_BATCH * 256);
  readonly #u32 = new Uint32Array(this.#staging);
  readonly #f32 = new Float32Array(this.#staging);
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #empty: readonly [GPUBuffer, GPUBuffer];
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #current: Compiled | undefined;

  constructor(device: GPUDevice, pipelines: PipelineCache, guard: Guard, timestamps: Timestamps | undefined) {
    this.#device = device;
    this.#timestamps = timestamps;
    this.#guard = guard;
    this.#pipelines = pipelines;
    this.#stride = Math.max(MAX_PARAM_BYTES, device.limits.minUniformBufferOffsetAlignment);
    const size = DISPATCHES_PER_BATCH * this.#stride;
    this.#ring = Array.from({ length: RING }, (_, i) => {
      const buffer = device.createBuffer({ size, usage: BUFFER_USAGE.uniform | BUFFER_USAGE.copyDst, label: `params ${i}` });
      const entries = [{ binding: 0, resource: { buffer, size: MAX_PARAM_BYTES } }];
      return { buffer, group: device.createBindGroup({ label: "params", layout: pipelines.paramsLayout, entries }) };
    });
    const empty = (label: string) => device.createBuffer({ size: EMPTY_BYTES * EMPTY_SLOTS, usage: BUFFER_USAGE.storage, label });
    this.#empty = [empty("absent tensors, read"), empty("absent tensors, written")];
  }

  get isEmpty(): boolean {
    return this.#encoder === undefined;
  }

  /** True when the next dispatch needs a new batch. */
  get isFull(): boolean {
    return this.dispatches >= DISPATCHES_PER_BATCH;
  }

  /** `bindings[i]` goes to binding number i; undefined and empty ones get a stand-in. With `report` it gets a pass of its own, which is timed. */
  dispatch(
    program: Program,
    bindings: readonly (Binding | undefined)[],
    values: Readonly<Record<string, number>>,
    grid: Grid,
    report?: TimeReport,
  ): void {
    const compiled = this.#pipelines.has(program) ? this.#pipelines.get(program) : this.#guard(() => this.#pipelines.get(program));
    const group = this.#bindGroup(compiled, bindings);
    const offset = this.dispatches * this.#stride;
    program.params.forEach(({ name, type }, i) => {
      const value = values[name] as number;
      if (type === "u32") this.#u32[offset / 4 + i] = value;
      else this.#f32[offset / 4 + i] = value;
    });
    if (report) this.#endPass();
    let pass = this.#pass;
    if (!pass) {
      this.#encoder ??= this.#device.createCommandEncoder();
      const timestampWrites = report && this.#timestamps?.writesFor(report);
      pass = this.#encoder.beginComputePass(timestampWrites ? { timestampWrites } : {});
      this.#pass = pass;
      this.#current = undefined;
    }
    if (this.#current !== compiled) {
      pass.setPipeline(compiled.pipeline);
      this.#current = compiled;
    }
    pass.setBindGroup(0, group);
    pass.setBindGroup(1, this.#ring[this.batch % RING]!.group, [offset]);
    pass.dispatchWorkgroups(grid[0], grid[1], grid[2]);
    if (report) this.#endPass();
    this.dispatches += 1;
    for (const binding of bindings) if (binding) binding.block.batch = this.batch;
  }

  /** Copies bytes between two different blocks. */
  copy(from: Binding, to: Binding): void {
    this.#endPass().copyBufferToBuffer(from.block.gpu, from.offset, to.block.gpu, to.offset, from.bytes);
    from.block.batch = this.batch;
    to.block.batch = this.batch;
    this.copies += 1;
  }

  /** Copies bytes into a buffer of the host's. */
  copyOut(from: Binding, to: GPUBuffer): void {
    this.#endPass().copyBufferToBuffer(from.block.gpu, from.offset, to, 0, from.bytes);
  }

  /** Hands everything recorded to the queue and begins a new batch. */
  submit(): void {
    const encoder = this.#endPass();
    this.#timestamps?.resolve(encoder);
    if (this.dispatches > 0)
      this.#device.queue.writeBuffer(this.#ring[this.batch % RING]!.buffer, 0, this.#staging, 0, this.dispatches * this.#stride);
    this.#encoder = undefined;
    this.batch += 1;
    this.dispatches = 0;
    this.copies = 0;
    this.#guard(() => this.#device.queue.submit([encoder.finish()]));
    this.#timestamps?.collect();
  }

  /** Forgets cached bind groups: the blocks they refer to are about to go. */
  forget(): void {
    this.#groups.clear();
  }

  destroy(): void {
    this.forget();
    for (const { buffer } of this.#ring) buffer.destroy();
    for (const buffer of this.#empty) buffer.destroy();
  }

  #endPass(): GPUCommandEncoder {
    this.#pass?.end();
    this.#pass = undefined;
    this.#encoder ??= this.#device.createCommandEncoder();
    return this.#encoder;
  }

  #bindGroup({ program, layout, layoutKey, slots }: Compiled, bindings: readonly (Binding | undefined)[]): GPUBindGroup {
    let key = `${layoutKey}`;
    for (const slot of slots) {
      const binding = bindings[slot];
      key += binding && binding.bytes > 0 ? `,${binding.block.key}:${binding.offset}:${binding.bytes}` : ",";
    }
    const known = this.#groups.get(key);
    if (known) return known;
    if (this.#groups.size >= MAX_BIND_GROUPS) this.#groups.clear();
    const entries = slots.map((slot): GPUBindGroupEntry => {
      const binding = bindings[slot];
      if (binding && binding.bytes > 0) {
        return { binding: slot, resource: { buffer: binding.block.gpu, offset: binding.offset, size: binding.bytes } };
      }
      const buffer = this.#empty[program.access[slot] === "r" ? 0 : 1];
      return { binding: slot, resource: { buffer, offset: slot * EMPTY_BYTES, size: EMPTY_BYTES } };
    });
    const group = this.#guard(() => this.#device.createBindGroup({ label: program.name, layout, entries }));
    this.#groups.set(key, group);
    return group;
  }
}

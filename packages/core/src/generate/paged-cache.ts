/**
 * The paged key/value cache of a decoder (vLLM, Kwon et al. 2023): one buffer of slots per layer, handed out in blocks.
 *
 * Position t of a row lies in slot table[⌊t / blockSize⌋] · blockSize + t mod blockSize of every layer.
 */
import { ops } from "@trimtab/kernels";
import type { Tape } from "../autograd/tape";
import { attentionShape, type DecoderConfig } from "../models/config";
import type { Rotation } from "../nn/attention";
import type { Tensor } from "../tensor/tensor";
import { BlockAllocator } from "./block-allocator";
import { PrefixIndex } from "./prefix-index";

export class PagedCache {
  readonly blockSize: number;
  readonly blocks: BlockAllocator;
  /** What the kept blocks hold. */
  readonly prefixes: PrefixIndex;
  readonly byteLength: number;
  readonly #config: DecoderConfig;
  /** One per layer, (blocks · blockSize, 2 K D): [K key heads | K value heads] of each slot. */
  readonly #layers: readonly Tensor[];

  /** `session` owns the memory: the cache lives as long as that tape. */
  constructor(session: Tape, config: DecoderConfig, blockSize: number, blockCount: number) {
    this.#config = config;
    this.blockSize = blockSize;
    const prefixes = new PrefixIndex(blockSize);
    this.prefixes = prefixes;
    this.blocks = new BlockAllocator(blockCount, (block) => prefixes.forget(block));
    this.byteLength = blockCount * layerBlockBytes(config, blockSize) * config.layers;
    const shape = [blockCount * blockSize, 2 * config.kvHeads * config.headDim];
    this.#layers = Array.from({ length: config.layers }, () => session.alloc(shape, "f32", "cache"));
  }

  /** Where position `t` of a row with this block table lies. */
  slot(table: Uint32Array, t: number): number {
    return (table[Math.floor(t / this.blockSize)] as number) * this.blockSize + (t % this.blockSize);
  }

  /** Stores keys and values of fused and rotated rows qkv (N, (H + 2 K) D) at `slots` u32 (N). */
  write(tape: Tape, layer: number, qkv: Tensor, slots: Tensor): void {
    const { H, K, D } = attentionShape(this.#config, layer);
    tape.run(ops.kvCache.write, { qkv, slots, cache: this.#layers[layer] }, { H, K, D });
  }

  /** Attention of N rotated tokens over positions 0 .. lengths - 1 of their rows, or the last of them where the layer has a window; tables u32 (N, B), lengths u32 (N) -> (N, H D). */
  attend(tape: Tape, layer: number, qkv: Tensor, tables: Tensor, lengths: Tensor): Tensor {
    const shape = attentionShape(this.#config, layer);
    const o = tape.alloc([qkv.shape[0] as number, shape.H * shape.D]);
    tape.run(ops.kvCache.attend, { qkv, cache: this.#layers[layer], tables, lengths, o }, { ...shape, block: this.blockSize });
    return o;
  }

  /**
   * {@link attend} of new tokens, each of another row: the last of its `lengths` positions, whose keys and values are stored on the way. Rows are not
   * rotated yet.
   */
  extend(tape: Tape, layer: number, qkv: Tensor, rotation: Rotation | undefined, tables: Tensor, lengths: Tensor): Tensor {
    const shape = attentionShape(this.#config, layer);
    const o = tape.alloc([qkv.shape[0] as number, shape.H * shape.D]);
    const none = { ...qkv, shape: [0, 0] };
    const { cos, sin, positions } = rotation ?? { cos: none, sin: none, positions: lengths };
    const tensors = { qkv, cos, sin, positions, tables, lengths, cache: this.#layers[layer], o };
    tape.run(ops.kvCache.extend, tensors, { ...shape, block: this.blockSize });
    return o;
  }

  /** Copies slots in every layer; from, to u32 (N). */
  copy(tape: Tape, from: Tensor, to: Tensor): void {
    for (const cache of this.#layers) tape.run(ops.kvCache.copy, { from, to, cache });
  }
}

/** Bytes that one block takes in one layer. */
export function layerBlockBytes(config: DecoderConfig, blockSize: number): number {
  return blockSize * 2 * config.kvHeads * config.headDim * 4;
}

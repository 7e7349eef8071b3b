/** Memory of the running thread alone. Every instance has its own global, set once before its first kernel. */

let base: usize = 0;

/** Bytes each thread must have; `SCRATCH_BYTES` of src/wasm/layout.ts equals it (tested). */
export const SCRATCH_BYTES: u32 = 1 << 20;

export function set_thread_scratch(pointer: usize): void {
  base = pointer;
}

export function thread_scratch_bytes(): u32 {
  return SCRATCH_BYTES;
}

/** End of the constants that instances put into linear memory; no later than the control words (tested). */
export function constants_end(): usize {
  return __heap_base;
}

// @ts-ignore: decorator
@inline
export function threadScratch(): usize {
  return base;
}

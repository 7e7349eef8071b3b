/** The few parts of the WebAssembly interface used here; kernels is compiled without the DOM library that declares them. */

/** A compiled module: opaque, and may be posted to a worker. */
export interface WasmModule {
  readonly __module?: never;
}

/** A linear memory. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  grow(pages: number): number;
}

/** An exported kernel or setter. */
export type WasmFunction = (...args: number[]) => number | undefined;

interface WasmInstance {
  readonly exports: Readonly<Record<string, WasmFunction | WasmMemory>>;
}

interface WasmApi {
  validate(bytes: Uint8Array): boolean;
  compile(bytes: Uint8Array): Promise<WasmModule>;
  readonly Instance: new (module: WasmModule, imports: { env: { memory: WasmMemory } }) => WasmInstance;
  readonly Memory: new (descriptor: { initial: number; maximum: number; shared?: boolean }) => WasmMemory;
}

export const wasmApi: WasmApi = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;

/** Bytes of a page of linear memory. */
export const PAGE_BYTES = 65536;

/** The functions a module exports, by name. Their order, and so the index of each, is the module's own. */
export function instantiate(module: WasmModule, memory: WasmMemory): ReadonlyMap<string, WasmFunction> {
  const { exports } = new wasmApi.Instance(module, { env: { memory } });
  return new Map(Object.entries(exports).filter((entry): entry is [string, WasmFunction] => typeof entry[1] === "function"));
}

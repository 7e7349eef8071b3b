/** Chooses between the two builds of the engine, and fits one to a memory that is not shared. */
import relaxedBase64 from "../../build/engine-relaxed.wasm";
import strictBase64 from "../../build/engine-strict.wasm";
import { decodeBase64 } from "../base64";
import { DeviceError } from "../errors";
import { wasmApi } from "./webassembly";

export interface EngineBytes {
  readonly bytes: Uint8Array;
  readonly relaxed: boolean;
}

/** The relaxed build where it is wanted and this engine validates it; `true` insists on it. */
export function engineBytes(wanted: "auto" | boolean, shared: boolean): EngineBytes {
  const relaxed = wanted === false ? undefined : decodeBase64(relaxedBase64);
  const isRelaxed = relaxed !== undefined && wasmApi.validate(relaxed);
  if (wanted === true && !isRelaxed) {
    throw new DeviceError(
      'createWasmDevice: relaxed SIMD must be supported for `relaxed: true`, got an engine that refuses it. Use `relaxed: "auto"`, or run Node 20 with --experimental-wasm-relaxed-simd.',
    );
  }
  const bytes = isRelaxed ? relaxed : decodeBase64(strictBase64);
  if (!isRelaxed && !wasmApi.validate(bytes)) {
    throw new DeviceError(
      "createWasmDevice: WebAssembly with 128-bit SIMD must be supported, got an engine that refuses it. Update the runtime.",
    );
  }
  return { bytes: shared ? bytes : unshared(bytes), relaxed: isRelaxed };
}

const IMPORT_SECTION = 2;
const MEMORY_IMPORT = 2;
/** Limits flags: a maximum is given; the memory is shared. */
const HAS_MAXIMUM = 1;
const SHARED_WITH_MAXIMUM = 3;

/** A copy of the module whose imported memory is not shared: the limits flag 3 becomes 1, nothing else changes. */
export function unshared(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  let at = 8;
  const leb = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = copy[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  };
  while (at < copy.length) {
    const id = copy[at++];
    const size = leb();
    const end = at + size;
    if (id === IMPORT_SECTION) {
      const count = leb();
      for (let i = 0; i < count; i++) {
        for (const _ of ["module", "field"]) {
          const length = leb();
          at += length;
        }
        if (copy[at++] !== MEMORY_IMPORT) break;
        if (copy[at] === SHARED_WITH_MAXIMUM) {
          copy[at] = HAS_MAXIMUM;
          return copy;
        }
        leb();
        leb();
        leb();
      }
    }
    at = end;
  }
  throw new DeviceError(
    "unshared: the module must import a shared memory, got none. Rebuild the engine with --importMemory --sharedMemory.",
  );
}

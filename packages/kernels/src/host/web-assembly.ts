/** The few WebAssembly and text-encoding globals the host modules use, typed here because kernels compiles without the DOM library. */
import { decodeBase64 } from "../base64";
import { OutOfMemoryError } from "../errors";

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

declare const WebAssembly: {
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

declare const TextEncoder: new () => {
  encodeInto(text: string, into: Uint8Array): { read: number; written: number };
};

declare const TextDecoder: new (
  label: string,
  options: { ignoreBOM: boolean },
) => { decode(bytes?: Uint8Array, options?: { stream: boolean }): string };

/** Incremental UTF-8 decoding: bytes in, whole characters out. */
export type Utf8Decoder = InstanceType<typeof TextDecoder>;

let encoder: InstanceType<typeof TextEncoder> | undefined;

/** Writes `text` as UTF-8 into `into` and returns the bytes written; lone surrogates become U+FFFD. */
export function encodeUtf8(text: string, into: Uint8Array): number {
  encoder ??= new TextEncoder();
  return encoder.encodeInto(text, into).written;
}

/** A decoder that keeps a leading U+FEFF (so that text survives a round trip) and replaces malformed bytes with U+FFFD. */
export function utf8Decoder(): Utf8Decoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

const compiled = new Map<string, object>();

/** Instantiates an import-free module in base64 synchronously; the compiled module is kept, so a second instance is cheap. */
export function instantiate<E>(base64: string): E {
  let module = compiled.get(base64);
  if (module === undefined) {
    module = new WebAssembly.Module(decodeBase64(base64));
    compiled.set(base64, module);
  }
  return new WebAssembly.Instance(module, {}).exports as E;
}

/** The error of a host module that cannot have the memory it needs. */
export function outOfHostMemory(where: string, gotBytes: number, cause: unknown, requestedBytes = gotBytes + 1): OutOfMemoryError {
  return new OutOfMemoryError(
    `${where}: the data must fit a 32-bit WebAssembly memory, got no more than ${gotBytes} bytes of it. Pass the data in smaller pieces.`,
    requestedBytes,
    gotBytes,
    { cause },
  );
}

/** Grows `memory` until `sizeBytes` are addressable. Views made before are detached by a grow. */
export function ensureBytes(memory: WasmMemory, sizeBytes: number): void {
  const missing = sizeBytes - memory.buffer.byteLength;
  if (missing <= 0) return;
  try {
    memory.grow(Math.ceil(missing / 65536));
  } catch (cause) {
    throw outOfHostMemory("host memory", memory.buffer.byteLength, cause, sizeBytes);
  }
}

export type { WasmMemory };

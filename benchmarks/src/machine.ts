/** Measures what this machine can do at most, for each way a device may compute, before anything is held against it. */
import type { DeviceInfo } from "@trimtab/kernels";
import { bestCeilings, type Ceilings, streamCeiling } from "./measure/ceilings";
import type { Section } from "./measure/section";
import { PASSES } from "./measure/timing";
import { measureGpu } from "./measure/webgpu-ceilings";
import { measureThreads } from "./thread-ceilings";

/** What decides which ceilings a device has. */
export type DeviceLike = Pick<DeviceInfo, "kind" | "relaxed" | "threads">;

const keyOf = ({ kind, relaxed, threads }: DeviceLike): string =>
  kind === "wasm" ? `wasm ${relaxed ? "relaxed" : "strict"} ${threads}t` : kind;

export class Machine {
  readonly #devices: ReadonlyMap<string, DeviceLike>;
  readonly #isQuick: boolean;
  /** The best so far. */
  readonly #ceilings = new Map<string, Ceilings>();

  /** Nothing is measured yet. `devices`: whose ceilings are wanted. */
  constructor(devices: readonly DeviceLike[], { quick }: { readonly quick: boolean }) {
    this.#devices = new Map(devices.map((device) => [keyOf(device), device]));
    this.#isQuick = quick;
  }

  /** Measures every kind of device once more. A slow spell of the machine lowers no ceiling where another pass misses it. */
  async measure(): Promise<void> {
    for (const [key, { kind, relaxed, threads }] of this.#devices) {
      const measured =
        kind === "webgpu"
          ? await measureOwnGpu({ quick: this.#isQuick })
          : await measureThreads(relaxed ? "relaxed" : "strict", threads, this.#isQuick ? 3 : 8);
      if (!measured) continue;
      const known = this.#ceilings.get(key);
      this.#ceilings.set(key, known ? bestCeilings(known, measured) : measured);
    }
  }

  /** Undefined where this JavaScript engine refuses the build, or nobody measured it. */
  ceilings(device: DeviceLike): Ceilings | undefined {
    return this.#ceilings.get(keyOf(device));
  }

  section(): Section {
    const sizes = [...new Set([...this.#ceilings.values()].flatMap(({ streams }) => streams.map(({ bytes }) => bytes)))].sort(
      (a, b) => a - b,
    );
    return {
      title: "Ceilings of this machine: all threads together",
      columns: ["", "multiply-add, GFLOP/s", ...sizes.map((bytes) => `GB/s at ${sizeName(bytes)}`)],
      rows: [...this.#ceilings].map(([name, ceilings]) => {
        const isMeasured = (bytes: number) => ceilings.streams.some((stream) => stream.bytes === bytes);
        return [name, ceilings.gflops, ...sizes.map((bytes) => (isMeasured(bytes) ? streamCeiling(ceilings, bytes) : null))];
      }),
      notes: ["an op's ceiling is the slower of its arithmetic at the first and of its bytes at the rate of a working set of its size"],
    };
  }
}

/** Measures each kind of `devices`. */
export async function measureMachine(devices: readonly DeviceLike[], options: { readonly quick: boolean }): Promise<Machine> {
  const machine = new Machine(devices, options);
  for (let pass = 0; pass < PASSES; pass++) await machine.measure();
  return machine;
}

/** The GPU that `createDevice("webgpu")` takes, on a device of its own. */
async function measureOwnGpu({ quick }: { readonly quick: boolean }): Promise<Ceilings> {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("webgpu: a GPU must be there, got no adapter.");
  const device = await adapter.requestDevice();
  try {
    return await measureGpu(device, quick ? { rounds: 2, workingSets: [1 << 20] } : {});
  } finally {
    device.destroy();
    keep.push(gpu);
  }
}

/** Dawn must outlive its devices, also one whose last work is still being cleared away. */
const keep: GPU[] = [];

function sizeName(bytes: number): string {
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 10} KiB`;
}

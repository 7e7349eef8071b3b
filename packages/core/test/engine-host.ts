/// <reference types="node" />
/** An engine served on this thread through a message channel, with directories in memory: what crosses is what crosses between threads. */

import type { Device } from "@trimtab/kernels";
import { createDryDevice } from "@trimtab/kernels/dry";
import { createWasmDevice } from "@trimtab/kernels/wasm";
import { afterEach } from "vitest";
import { connectEngine, serveEngine } from "../src";
import type { Directory, DirectoryTree } from "../src/checkpoint/files";
import type { Engine } from "../src/engine/engine";
import { MemoryDirectory, MemoryTree } from "./fixture-files";

/** A directory in memory that is also one of directories. */
export class MemoryPlace extends MemoryDirectory implements Directory, DirectoryTree {
  readonly #tree = new MemoryTree();

  list() {
    return this.#tree.list();
  }

  child(name: string): MemoryDirectory {
    return this.#tree.child(name);
  }

  remove(name: string) {
    return this.#tree.remove(name);
  }
}

/** What outlives an engine. */
export type Disk = Map<string, MemoryPlace>;

/** An engine, and a way to kill it. */
export interface TestEngine {
  readonly engine: Engine<string>;
  readonly device: Device;
  kill(reason: Error): void;
}

/** Strict wasm with one thread, unless a device is given: the same bits everywhere. */
export async function openEngine(disk: Disk = new Map(), makeDevice?: () => Promise<Device>): Promise<TestEngine> {
  const { port1, port2 } = new MessageChannel();
  let device: Device | undefined;
  let kill: (reason: Error) => void = () => {};
  serveEngine<string>(port1 as never, {
    async openDevice() {
      device = await (makeDevice ?? (() => createWasmDevice({ threads: 1, relaxed: false })))();
      return device;
    },
    openPlace(place) {
      const directory = disk.get(place) ?? new MemoryPlace([], place);
      disk.set(place, directory);
      return directory;
    },
    async openBase(_, { name = "" }) {
      return disk.get(name) as MemoryPlace;
    },
    createDryDevice,
    notes: () => ["a note"],
  });
  const engine = await connectEngine<string>(port2 as never, {
    ended: new Promise((resolve) => {
      kill = resolve;
    }),
    terminate() {
      port1.close();
      port2.close();
    },
  });
  return { engine, device: device as Device, kill: (reason) => kill(reason) };
}

/** One layer over bytes and some merges. */
export const tiny = {
  shape: { hiddenSize: 16, layers: 1, heads: 2, maxPositions: 48, initializerRange: 0.1 },
  texts: ["a few words are enough"],
  vocabSize: 257,
  seed: 3,
} as const;

/** `openEngine` for the tests of a file, with what it opens closed after each test. Call it at the file's top level. */
export function engineOpener(): typeof openEngine {
  const opened: TestEngine[] = [];
  afterEach(async () => {
    for (const { engine } of opened.splice(0)) await engine.close();
  });
  return async (...args) => {
    const one = await openEngine(...args);
    opened.push(one);
    return one;
  };
}

/** What a promise rejects with; undefined where it does not. */
export const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

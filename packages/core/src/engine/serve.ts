/** Serving an engine: what its thread brings along, and the endpoint on which an application asks. */
import type { Device } from "@trimtab/kernels";
import { expose } from "comlink";
import type { Directory, DirectoryTree } from "../checkpoint/files";
import { outcomeOf } from "./outcome";
import type { Answering, EngineEndpoint, EngineService } from "./protocol";
import { Service } from "./service";

/** What the engine's thread brings along: its device, and files. */
export interface EngineHost<Place> {
  /** Called once, when the application connects. */
  openDevice(): Promise<Device>;
  /** The directory that a place names, which need not exist; one that cannot be written says so when it is. */
  openPlace(place: Place): Promise<Directory & DirectoryTree> | (Directory & DirectoryTree);
  /** What keeps the engine from running better, in plain words, each with what to do. Default: nothing does. */
  notes?(device: Device): readonly string[];
  /** Milliseconds since any origin, e.g. `performance.now`; where given, steps report `step_time`. */
  clock?(): number;
}

/** Serves the one application that calls `connectEngine` on the other end. Nothing is opened before it does. */
export function serveEngine<Place>(endpoint: EngineEndpoint, host: EngineHost<Place>): void {
  expose(answering(new Service(host as EngineHost<unknown>)), endpoint as never);
}

/** Every method answers with an outcome: a thrown error would arrive without its class and fields. */
function answering(service: EngineService): Answering<EngineService> {
  const methods = service as unknown as Record<string, (...args: unknown[]) => unknown>;
  return new Proxy({} as Answering<EngineService>, {
    get:
      (_, name) =>
      (...args: unknown[]) =>
        outcomeOf(() => methods[name as string]?.(...args)),
  });
}

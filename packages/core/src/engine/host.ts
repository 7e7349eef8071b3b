/** What the thread that an engine runs on has to offer. */
import type { Device, DeviceInfo } from "@trimtab/kernels";
import type { Directory, DirectoryTree, ReadableDirectory } from "../checkpoint/files";
import type { AdapterBase } from "../models/load-model";
import type { LoadProgress } from "./engine";

/** What the engine's thread brings along: its device, and files. */
export interface EngineHost<Place> {
  /** Called once, when the application connects. */
  openDevice(): Promise<Device>;
  /** The directory that a place names, which need not exist; one that cannot be written says so when it is. */
  openPlace(place: Place): Promise<Directory & DirectoryTree> | (Directory & DirectoryTree);
  /** The directory of a model that is to be loaded, once its files are there; `tell` is told of downloads. Default: what `openPlace` opens. */
  openModel?(place: Place, tell: (progress: LoadProgress) => void): Promise<ReadableDirectory>;
  /** The directory of the base that an adapter names; `place` is the adapter's. Default: adapters are not loaded. */
  openBase?(place: Place, base: AdapterBase, tell: (progress: LoadProgress) => void): Promise<ReadableDirectory>;
  /** `createDryDevice` of @trimtab/kernels/dry, for `planMemory`. Default: the engine cannot plan. */
  createDryDevice?(info: DeviceInfo): Promise<Device>;
  /** What keeps the engine from running better, in plain words, each with what to do. Default: nothing does. */
  notes?(device: Device): readonly string[];
  /** Milliseconds since any origin, e.g. `performance.now`; where given, steps report `step_time`. */
  clock?(): number;
}

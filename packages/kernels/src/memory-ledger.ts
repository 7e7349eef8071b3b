/** Who has how much of a device's memory, and how it was shared when most of it was in use. */
import { type DeviceCounters, type DeviceMemory, MEMORY_KINDS, type MemoryKind } from "./device";

export class MemoryLedger {
  readonly #counters: DeviceCounters;
  readonly #live = nothing();
  #atPeak = nothing();
  #total = 0;
  #most = 0;

  /** `counters` are kept in step: their bytes are those handed out, without scratch. */
  constructor(counters: DeviceCounters) {
    this.#counters = counters;
  }

  take(kind: MemoryKind, bytes: number): void {
    this.#live[kind] += bytes;
    this.#total += bytes;
    if (kind !== "scratch") {
      this.#counters.liveBytes += bytes;
      this.#counters.peakBytes = Math.max(this.#counters.peakBytes, this.#counters.liveBytes);
    }
    if (this.#total <= this.#most) return;
    this.#most = this.#total;
    this.#atPeak = { ...this.#live };
  }

  give(kind: MemoryKind, bytes: number): void {
    this.#live[kind] -= bytes;
    this.#total -= bytes;
    if (kind !== "scratch") this.#counters.liveBytes -= bytes;
  }

  /** Nothing is in use any more. */
  clear(): void {
    Object.assign(this.#live, nothing());
    this.#total = 0;
    this.#counters.liveBytes = 0;
  }

  /** `peakBytes` is the device's own measure, rounding and fragments included; default: without them. */
  report(peakBytes: number = this.#most): DeviceMemory {
    return { live: { ...this.#live }, atPeak: { ...this.#atPeak }, peakBytes };
  }
}

function nothing(): Record<MemoryKind, number> {
  return Object.fromEntries(MEMORY_KINDS.map((kind) => [kind, 0])) as Record<MemoryKind, number>;
}

/** Times compute passes on the GPU's own clock: a query before and after each pass, read back when its command buffer has run. */

/** Queries of one command buffer: a begin and an end for each dispatch of a batch. */
const QUERIES = 512;
const USAGE = { mapRead: 0x1, copySrc: 0x4, copyDst: 0x8, queryResolve: 0x200 } as const;
const MAP_READ = 1;

/** Is told how long one pass took, in milliseconds. */
export type TimeReport = (ms: number) => void;

export class Timestamps {
  readonly #device: GPUDevice;
  /** Made for the first pass that is timed. */
  #queries: GPUQuerySet | undefined;
  #resolved: GPUBuffer | undefined;
  /** Whom to tell of each pass of the batch being recorded. */
  #reports: TimeReport[] = [];
  #staging: GPUBuffer | undefined;
  readonly #pending = new Set<Promise<void>>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** What the next pass must be begun with for `report` to be told its time. */
  writesFor(report: TimeReport): GPUComputePassTimestampWrites {
    this.#queries ??= this.#device.createQuerySet({ type: "timestamp", count: QUERIES, label: "pass times" });
    const begin = 2 * this.#reports.length;
    this.#reports.push(report);
    return { querySet: this.#queries, beginningOfPassWriteIndex: begin, endOfPassWriteIndex: begin + 1 };
  }

  /** Ends a batch: to be called with its encoder just before it is finished. */
  resolve(encoder: GPUCommandEncoder): void {
    const count = 2 * this.#reports.length;
    if (count === 0 || !this.#queries) return;
    this.#resolved ??= this.#device.createBuffer({ size: QUERIES * 8, usage: USAGE.queryResolve | USAGE.copySrc, label: "pass times" });
    this.#staging = this.#device.createBuffer({ size: count * 8, usage: USAGE.mapRead | USAGE.copyDst, label: "pass times, read" });
    encoder.resolveQuerySet(this.#queries, 0, count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, count * 8);
  }

  /** To be called when the batch has been submitted: reports follow when it has run. */
  collect(): void {
    const [staging, reports] = [this.#staging, this.#reports];
    if (!staging) return;
    this.#staging = undefined;
    this.#reports = [];
    const pending = this.#read(staging, reports).finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
  }

  /** Resolves when every pass submitted so far has been reported. */
  async settle(): Promise<void> {
    await Promise.all(this.#pending);
  }

  destroy(): void {
    this.#queries?.destroy();
    this.#resolved?.destroy();
  }

  async #read(staging: GPUBuffer, reports: readonly TimeReport[]): Promise<void> {
    try {
      await staging.mapAsync(MAP_READ);
    } catch {
      // The device is gone: whoever waits for its work hears of it there.
      return;
    }
    const nanoseconds = new BigUint64Array(staging.getMappedRange());
    // Clocks may be set back between two queries; such a pass counts as nothing.
    for (const [i, report] of reports.entries()) {
      report(Math.max(0, Number((nanoseconds[2 * i + 1] as bigint) - (nanoseconds[2 * i] as bigint)) / 1e6));
    }
    staging.destroy();
  }
}

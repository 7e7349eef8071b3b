/** The time of calls that are measured: by the GPU's own clock, or by the host's. */
import type { TuningChoices } from "../tuning";
import type { WebGpuDevice } from "./device";
import type { TunedCall } from "./tune-calls";

const MAX_REPEATS = 512;

/** The GPU's own clock, or the host's where that has none or stands still. */
export class Clock {
  kind: "gpu" | "host";
  readonly #device: WebGpuDevice;
  readonly #now: () => number;

  constructor(device: WebGpuDevice, now: () => number) {
    this.#device = device;
    this.#now = now;
    this.kind = device.dispatchTimed ? "gpu" : "host";
  }

  /** Milliseconds of one call, repeated. */
  async time({ entry, args }: TunedCall, choices: TuningChoices, repeats: number): Promise<number> {
    const device = this.#device;
    const begin = this.#now();
    let gpuMs = 0;
    device.tuner.withChoices(choices, () => {
      for (let i = 0; i < repeats; i++) {
        if (this.kind === "gpu") device.dispatchTimed?.(entry, args, (ms) => (gpuMs += ms));
        else device.dispatch(entry, args);
      }
    });
    await device.sync();
    return (this.kind === "gpu" ? gpuMs : this.#now() - begin) / repeats;
  }

  /** How often a call must be repeated for a sample of `sampleMs`; this also lets the GPU come to its speed. */
  async repeatsFor(call: TunedCall, sampleMs: number): Promise<number> {
    let repeats = 1;
    for (;;) {
      const sample = repeats * (await this.time(call, {}, repeats));
      if (sample >= sampleMs || repeats >= MAX_REPEATS) {
        if (sample > 0 || this.kind === "host") return repeats;
        this.kind = "host";
        repeats = 1;
      } else {
        const factor = Math.min(8, Math.max(2, sampleMs / Math.max(sample, 1e-6)));
        repeats = Math.min(MAX_REPEATS, Math.ceil(repeats * factor));
      }
    }
  }
}

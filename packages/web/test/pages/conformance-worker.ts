/** The conformance suite on a worker, where applications compute: one case at a time, on the device that was opened. */
import { cases, conformance } from "@trimtab/kernels/conformance";
import { createDevice, type Device, type DeviceChoice, type DeviceInfo, type DeviceOptions } from "@trimtab/web";
import { expose } from "comlink";

let device: Device | undefined;

/** What a case came to. */
export interface CaseResult {
  readonly entry: string;
  readonly name: string;
  readonly passed: number;
  /** One line per trial that failed. */
  readonly failures: readonly string[];
  /** The worst error as a fraction of what is allowed. */
  readonly worst: number;
}

const suite = {
  async open(choice: DeviceChoice, options: DeviceOptions): Promise<DeviceInfo> {
    device = await createDevice(choice, options);
    return device.info;
  },
  /** Runs the case at `index` of the suite, at the sizes of these indices. */
  async run(index: number, sizes: readonly number[]): Promise<CaseResult> {
    const item = cases[index];
    if (!device || !item) throw new Error(`conformance page: a device must be open and case ${index} exist.`);
    let passed = 0;
    let worst = 0;
    const failures: string[] = [];
    for await (const result of conformance({ device, cases: [{ ...item, sizes: item.sizes.filter((_, i) => sizes.includes(i)) }] })) {
      if (result.status === "passed") passed += 1;
      else failures.push(result.message);
      worst = Math.max(worst, result.worst);
    }
    return { entry: item.entry.name, name: item.name, passed, failures, worst };
  },
  async close(): Promise<void> {
    await device?.destroy();
    device = undefined;
  },
};

export type ConformanceSuite = typeof suite;

expose(suite);

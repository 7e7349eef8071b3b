/** The conformance suite on the measured device: what its ops compute is what they should, before anybody asks how fast. */
import type { Device } from "@trimtab/core";
import { conformance } from "@trimtab/kernels/conformance";
import type { Section } from "./measure/section";

interface Tally {
  trials: number;
  failed: number;
  /** The largest error as a fraction of what is allowed. */
  worst: number;
}

/** Every trial, by op. A failure is a note, and the process ends with an error code. */
export async function checkConformance(device: Device): Promise<Section> {
  const ops = new Map<string, Tally>();
  const failures: string[] = [];
  for await (const { id, status, message, worst } of conformance({ device })) {
    const op = id.split(" ")[0] as string;
    const tally = ops.get(op) ?? { trials: 0, failed: 0, worst: 0 };
    ops.set(op, tally);
    tally.trials += 1;
    if (status === "passed") tally.worst = Math.max(tally.worst, worst);
    else {
      tally.failed += 1;
      failures.push(`${id}: ${message}`);
    }
  }
  if (failures.length > 0) process.exitCode = 1;
  const all = [...ops.values()];
  const sum = (of: (tally: Tally) => number) => all.reduce((total, tally) => total + of(tally), 0);
  return {
    title: `Conformance of ${device.info.name}`,
    columns: ["op", "trials", "failed", "worst error, % of allowed"],
    rows: [...ops].map(([op, { trials, failed, worst }]) => [op, trials, failed, 100 * worst]),
    notes: [`${sum((t) => t.trials - t.failed)} passed, ${sum((t) => t.failed)} failed`, ...failures],
  };
}

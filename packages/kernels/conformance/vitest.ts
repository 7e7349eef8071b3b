/** The suite under vitest: one test per trial, printed skips, and REQUIRE_DEVICES turning an absent device into a failure. */
import { afterAll, beforeAll, describe, it } from "vitest";
import type { Device } from "../src/device";
import { type Case, type Trial, trialsOf } from "./case";
import { cases as allCases } from "./cases/index";
import { type Oracle, oracleOf, runTrial, type Skip, skipReason } from "./run";

/** A device that this machine does not have, and why. */
export interface MissingDevice {
  readonly missing: string;
}

export interface VitestConformanceOptions {
  /** The device's name in REQUIRE_DEVICES: reference, wasm, wasm-relaxed or webgpu; a suffix in parentheses is ignored. */
  readonly name: string;
  /** Makes the device once for the whole suite. */
  readonly create: () => Promise<Device | MissingDevice>;
  readonly cases?: readonly Case[];
  readonly skip?: readonly Skip[];
}

/** True when REQUIRE_DEVICES (a comma list) names the device. */
export function isRequired(name: string): boolean {
  const required = (process.env.REQUIRE_DEVICES ?? "").split(",").map((entry) => entry.trim());
  return required.includes(name.replace(/\s*\(.*\)$/, ""));
}

/** By trial: a file runs the same ones on several devices, and the reference takes as long as any of them. */
const oracles = new Map<string, Oracle>();

function oracleFor(trial: Trial): Oracle {
  const known = oracles.get(trial.id) ?? oracleOf(trial);
  oracles.set(trial.id, known);
  return known;
}

/** Registers the suite; call it at the top level of a test file. */
export function runConformance({ name, create, cases = allCases, skip = [] }: VitestConformanceOptions): void {
  describe(`conformance on ${name}`, async () => {
    const created = await create();
    if ("missing" in created) {
      const reason = `${name} is missing: ${created.missing}`;
      if (isRequired(name)) {
        it("is available", () => {
          throw new Error(`REQUIRE_DEVICES: ${name} must be available, got none: ${created.missing}`);
        });
      } else {
        console.warn(`skipped: conformance on ${reason}`);
        it.skip(`skipped: ${reason}`, () => {});
      }
      return;
    }
    beforeAll(() => {
      for (const { reason, cases: names } of skip) console.warn(`skipped on ${name}: ${names.join(", ")}: ${reason}`);
    });
    afterAll(() => created.destroy());
    for (const trial of trialsOf(cases)) {
      const reason = skipReason(trial, skip);
      if (reason !== undefined) it.skip(`${trial.id} (${reason})`, () => {});
      else it(trial.id, () => runTrial(created, trial, oracleFor(trial)).then(() => {}));
    }
  });
}

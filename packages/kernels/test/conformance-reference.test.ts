/** The reference device through the conformance suite, and every backward formula against central differences. */
import { describe, expect, it } from "vitest";
import { cases, checkGradient, gradientChecks } from "../conformance/index";
import { runConformance } from "../conformance/vitest";
import { entryPoints } from "../src/ops/index";
import { createReferenceDevice } from "../src/reference/index";

runConformance({ name: "reference", create: async () => createReferenceDevice() });

describe("coverage", () => {
  it("every entry point has a case", () => {
    const covered = new Set(cases.map((item) => item.entry.name));
    expect([...entryPoints.keys()].filter((name) => !covered.has(name))).toEqual([]);
  });

  it("every backward entry point has a gradient check", () => {
    const covered = new Set(gradientChecks.flatMap((check) => check.covers));
    const backward = [...entryPoints.keys()].filter((name) => name.includes("backward"));
    expect(backward.filter((name) => !covered.has(name))).toEqual([]);
  });
});

describe("gradients", () => {
  for (const check of gradientChecks) it(check.name, () => void checkGradient(check));
});

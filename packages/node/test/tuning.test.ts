/** Tuning on this machine: where it is kept, that devices use it and outlive a bad file, and what the command prints. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeviceError, type DeviceInfo } from "@trimtab/core";
import { tableOf } from "@trimtab/kernels";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { isRequired } from "../../kernels/conformance/vitest";
import { formatTuned, runTune } from "../src/cli/commands/tune";
import { createDevice } from "../src/device";
import { openGpu } from "../src/gpu";
import { tuneGpu } from "../src/tune-gpu";
import { tuningDirectory } from "../src/tuning-directory";

it("is kept in the user's cache", () => {
  expect(tuningDirectory({ XDG_CACHE_HOME: "/cache" })).toBe(join("/cache", "trimtab"));
  expect(tuningDirectory({ XDG_CACHE_HOME: "" })).toMatch(/\.cache.trimtab$/);
});

it("prints what was chosen, the times that say so, and what was left out", () => {
  const shape = { rows: 576, columns: 576, depth: 4096 };
  const rule = { shape, tile: "large", slices: 12, ms: 0.5, gflops: 5436, isRule: true, isChosen: false } as const;
  const chosen = { shape, tile: "small", slices: 1, ms: 0.25, gflops: 10872, isRule: false, isChosen: true } as const;
  const wrong = { ...rule, slices: 16, isRule: false, problem: "1 of 2 differ" };
  const choice = { tile: "small", groups: 0 } as const;
  expect(formatTuned({ name: "weight deep", choice, gain: 2, cuts: [rule, chosen, wrong] }).split("\n")).toEqual([
    "weight deep         2.00x: small tiles, never sliced",
    "  (576, 4096) · (4096, 576)       0.500 ms, 5436 GFLOP/s (large, 12 slices)  ->  0.250 ms, 10872 GFLOP/s (small, whole)",
    "  left out: large tiles in 16 slices: 1 of 2 differ",
  ]);
  expect(formatTuned({ name: "weight deep", choice: undefined, gain: 1, cuts: [{ ...rule, isChosen: true }] }).split("\n")).toEqual([
    "weight deep         the rule",
    "  (576, 4096) · (4096, 576)       0.500 ms, 5436 GFLOP/s (large, 12 slices)",
  ]);
});

it("prints both forms of a class of kernels", () => {
  const call = "4096 rows in 8 sequences, 9 heads of 64";
  const plain = { call, form: undefined, ms: 0.6, isRule: true, isChosen: false } as const;
  const other = { call, form: "subgroups", ms: 0.4, isRule: false, isChosen: true } as const;
  const tuned = { name: "attention forward", choice: "subgroups", gain: 1.5, forms: [plain, other] } as const;
  const times = `  ${call}     0.600 ms, with subgroups 0.400 ms`;
  expect(formatTuned(tuned).split("\n")).toEqual(["attention forward   1.50x: with subgroups", times]);
  const wrong = { ...other, isChosen: false, problem: "1 of 2 differ" };
  expect(formatTuned({ ...tuned, choice: undefined, gain: 1, forms: [{ ...plain, isChosen: true }, wrong] }).split("\n")).toEqual([
    "attention forward   the rule",
    times,
    "  left out: 1 of 2 differ",
  ]);
});

const chosen = { "weight deep": { groups: 0 } } as const;

/** What is measured is tested in @trimtab/kernels. */
vi.mock("@trimtab/kernels/webgpu", async (load) => {
  const kernels = await load<typeof import("@trimtab/kernels/webgpu")>();
  const tuneDevice: typeof kernels.tuneDevice = async (device, options) => {
    if (!options.allowSoftware) return kernels.tuneDevice(device, options);
    const tuned = { name: "weight deep", choice: chosen["weight deep"], gain: 1.5, cuts: [] } as const;
    options.onClass?.(tuned);
    return { table: tableOf(device.tuner.key, chosen), classes: [tuned], clock: "gpu" };
  };
  return { ...kernels, tuneDevice };
});

const gpu = await openGpu().catch((error: unknown) => error);
if (gpu instanceof Error && isRequired("webgpu")) throw gpu;

describe.skipIf(gpu instanceof Error)("of this machine's GPU", () => {
  const folder = mkdtempSync(join(tmpdir(), "trimtab-tuning-"));
  const file = join(folder, "trimtab", "tuning.json");
  beforeAll(() => void vi.stubEnv("XDG_CACHE_HOME", folder));
  afterAll(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  const infoOf = async (tuning?: boolean): Promise<DeviceInfo> => {
    const device = await createDevice("webgpu", { tuning });
    await device.destroy();
    return device.info;
  };

  it("is kept, printed, used, and forgotten; a file that is no table is said, and devices are made all the same", async () => {
    const said: string[] = [];
    vi.spyOn(console, "log").mockImplementation((line: string) => void said.push(line));
    const options = { remove: false, allowSoftware: true, json: false };
    const { software, ...plain } = await infoOf();
    expect(plain.tuning).toBeUndefined();
    expect(await runTune(options)).toBe(0);
    expect(said.join("\n")).toBe(
      `weight deep         1.50x: tiles by the rule, never sliced\n\n${plain.name}, by the clock of the GPU.\n` +
        `Kept in ${file}: devices made of this GPU use it from now on, and the last bits of their results change with it.`,
    );
    expect(Object.values(JSON.parse(readFileSync(file, "utf8")).adapters)).toEqual([chosen]);
    expect(await infoOf()).toMatchObject({ name: plain.name.replace(/\)$/, ", tuned)"), tuning: { choices: chosen } });
    expect((await infoOf(false)).name).toBe(plain.name);

    writeFileSync(file, '{"kernels": "12');
    expect((await infoOf()).tuning).toEqual({ choices: {}, ignored: expect.stringMatching(/must be readable JSON, got: .*Tune again/) });
    expect(await runTune({ ...options, remove: true })).toBe(0);
    expect((await infoOf()).tuning).toBeUndefined();

    if (software) await expect(tuneGpu()).rejects.toThrow(DeviceError);
  });
});

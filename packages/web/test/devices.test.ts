/** Devices of a page: threads with the headers and without, what is missing and how that is said. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeBrowser, openPage, type WatchedPage } from "./browser";
import { type PlainGlobal, plainSite } from "./plain-page";
import { type Site, serveSite } from "./site";

declare const trimtab: PlainGlobal;

interface Asked {
  readonly choice: string;
  readonly threads?: number;
  readonly relaxed?: boolean;
}

/** A sum that is computed on the device, to see that it computes. */
const compute = async ({ choice, ...options }: Asked) => {
  try {
    const device = await trimtab.createDevice(choice as "auto", options);
    const tape = new trimtab.Tape(device);
    const sum = trimtab.add(tape, tape.constant(Float32Array.of(1, 2)), tape.constant(Float32Array.of(10, 20)));
    const values = [...(await device.read(sum))];
    const notes = await trimtab.deviceNotes(device);
    await device.destroy();
    return { ...device.info, values, notes };
  } catch (error) {
    return { error: (error as Error).name, message: (error as Error).message };
  }
};

describeBrowser("devices of a page", (browser) => {
  const sites: Site[] = [];
  const open = async (isCrossOriginIsolated: boolean): Promise<WatchedPage> => {
    const site = await serveSite(plainSite({ isCrossOriginIsolated }));
    sites.push(site);
    return browser.open(site.origin);
  };
  let isolated: WatchedPage;
  let plain: WatchedPage;
  beforeAll(async () => {
    isolated = await open(true);
    plain = await open(false);
  });
  afterAll(async () => {
    for (const site of sites) await site.close();
  });

  it("computes on threads where the page is cross-origin isolated", async () => {
    const found = await isolated.page.evaluate(compute, { choice: "wasm", threads: 3, relaxed: false });
    expect(found).toMatchObject({ kind: "wasm", name: "wasm (strict SIMD, 3 threads)", threads: 3, values: [11, 22] });
    expect(await isolated.page.evaluate(compute, { choice: "wasm" })).toMatchObject({
      threads: await isolated.page.evaluate(() => navigator.hardwareConcurrency),
      relaxed: true,
      values: [11, 22],
    });
    expect(isolated.problems).toEqual([]);
  });

  it("computes on one thread elsewhere, and says how to have more", async () => {
    const found = await plain.page.evaluate(compute, { choice: "wasm" });
    expect(found).toMatchObject({ threads: 1, values: [11, 22] });
    expect((found as { notes: string[] }).notes.join("\n")).toMatch(
      /One thread computes.*Cross-Origin-Opener-Policy: same-origin.*require-corp/,
    );
    const refused = await plain.page.evaluate(compute, { choice: "wasm", threads: 2 });
    expect(refused).toMatchObject({ error: "DeviceError", message: expect.stringMatching(/2 threads need shared memory.*headers/) });
    expect(plain.problems).toEqual([]);
  });

  it("takes an emulated GPU when asked for it, and never by itself", async () => {
    expect(await isolated.page.evaluate(compute, { choice: "webgpu" })).toMatchObject({
      kind: "webgpu",
      software: true,
      values: [11, 22],
      notes: [expect.stringContaining("emulated")],
    });
    const chosen = await isolated.page.evaluate(compute, { choice: "auto" });
    expect(chosen).toMatchObject({ kind: "wasm", values: [11, 22], notes: [expect.stringContaining("emulated")] });
    const listed = await isolated.page.evaluate(() => trimtab.listDevices());
    expect(listed.map(({ kind, isAuto, problem }) => [kind, isAuto, problem])).toEqual([
      ["webgpu", false, undefined],
      ["wasm", true, undefined],
      ["reference", false, undefined],
    ]);
  });

  it("uses what was measured of a GPU where it is of that GPU and these kernels, and says where it is not", async () => {
    const seen = await isolated.page.evaluate(async () => {
      const infoOf = async () => {
        const device = await trimtab.createDevice("webgpu");
        const notes = await trimtab.deviceNotes(device);
        await device.destroy();
        return { tuning: device.info.tuning, notes };
      };
      const before = await infoOf();
      const { table } = await trimtab.tuneGpu({ allowSoftware: true, layouts: [], kernels: [] });
      const measured = await infoOf();
      await trimtab.keepTuning(await trimtab.openPlace({ storage: "trimtab/tuning" }), { ...table, kernels: "others" });
      const stale = await infoOf();
      await trimtab.removeStored("trimtab/tuning");
      return { before, measured, stale, after: await infoOf() };
    });
    expect(seen.before.tuning).toBeUndefined();
    expect(seen.measured.tuning).toEqual({ choices: {} });
    expect(seen.stale.tuning).toEqual({ choices: {}, ignored: expect.stringMatching(/got others/) });
    expect(seen.stale.notes.join("\n")).toMatch(/What was measured of the GPU does not count/);
    expect(seen.after).toEqual(seen.before);
    expect(isolated.problems).toEqual([]);
  });

  it("refuses what it does not know", async () => {
    const refused = await plain.page.evaluate(compute, { choice: "cuda" });
    expect(refused).toMatchObject({ error: "ConfigError", message: expect.stringContaining('got "cuda"') });
  });

  it("uses wasm where there is no WebGPU, and says why", async () => {
    const context = await browser.newContext();
    await context.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, "gpu"));
    const { page, problems } = await openPage(context, sites[0]?.origin as string);
    expect(await page.evaluate(compute, { choice: "auto" })).toMatchObject({
      kind: "wasm",
      values: [11, 22],
      notes: [expect.stringContaining("must offer WebGPU")],
    });
    expect(await page.evaluate(compute, { choice: "webgpu" })).toMatchObject({ error: "DeviceError" });
    expect(problems).toEqual([]);
  });
});

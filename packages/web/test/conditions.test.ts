/**
 * Browsers that lack something, by taking it away from Chromium, in the page and in its workers: the engine works without it, or says what is missing
 * and what to do.
 */
import { readFile } from "node:fs/promises";
import { expectClose } from "@trimtab/kernels/conformance";
import type { EngineOptions } from "@trimtab/web";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeBrowser, type WatchedPage } from "./browser";
import { buildPage } from "./built-page";
import type { EnginePage } from "./pages/engine";
import { type Site, STRICT_POLICY, serveSite } from "./site";

describeBrowser("an engine in a browser", (browser) => {
  let files: Awaited<ReturnType<typeof buildPage>>;
  const sites: Site[] = [];
  beforeAll(async () => {
    files = await buildPage(new URL("./pages/engine.ts", import.meta.url));
  });
  afterAll(async () => {
    for (const site of sites) await site.close();
  });

  /** Opens the page; `remove` runs first, in the page and in every worker. */
  async function without<T>(remove: (argument: T) => void, argument: T): Promise<WatchedPage> {
    const prelude = `(${remove.toString()})(${JSON.stringify(argument ?? null)});\n`;
    const scripts = Object.entries(files).map(([path, contents]) => [path, path.endsWith(".js") ? prelude + contents : contents]);
    const site = await serveSite({ files: Object.fromEntries(scripts), policy: STRICT_POLICY });
    sites.push(site);
    const opened = await browser.open(site.origin);
    await opened.page.waitForFunction(() => "training" in globalThis);
    return opened;
  }

  const open = ({ page }: WatchedPage, options: EngineOptions) => page.evaluate((options) => training.open(options), options);
  const learns = async ({ page, problems }: WatchedPage) => {
    const { metrics } = await page.evaluate(() => training.run("sft"));
    expect(metrics.at(-1)?.loss).toBeLessThan(metrics[0]?.loss as number);
    await page.evaluate(() => training.close());
    expect(problems).toEqual([]);
  };

  it("without WebGPU takes wasm and says why; asked for it, refuses", async () => {
    const opened = await without(() => Reflect.deleteProperty(Object.getPrototypeOf(navigator), "gpu"), undefined);
    const { device, notes } = await open(opened, { device: "auto" });
    expect(device.kind).toBe("wasm");
    expect(notes.join("\n")).toMatch(/No GPU computes.*must offer WebGPU, got none\. Use a browser that has it/);
    await learns(opened);
    await expect(open(opened, { device: "webgpu" })).rejects.toThrow(/must offer WebGPU, got none.*or the wasm device/);
  });

  it("without SharedArrayBuffer trains on one thread and says how to have more; asked for more, refuses", async () => {
    const opened = await without(() => Reflect.deleteProperty(globalThis, "SharedArrayBuffer"), undefined);
    const { device, notes } = await open(opened, { device: "wasm" });
    expect(device.threads).toBe(1);
    expect(notes.join("\n")).toMatch(/One thread computes\..*Cross-Origin-Opener-Policy: same-origin/);
    await learns(opened);
    await expect(open(opened, { device: "wasm", threads: 2 })).rejects.toThrow(/2 threads need shared memory, got none.*headers/);
  });

  it("without relaxed SIMD takes the strict build; asked for it, refuses; without SIMD says that it is needed", async () => {
    const wasm = await readFile(new URL("../../kernels/build/engine-relaxed.wasm", import.meta.url));
    const opened = await without((relaxedBytes) => {
      const validate = WebAssembly.validate;
      WebAssembly.validate = (bytes) => bytes.byteLength !== relaxedBytes && validate(bytes);
    }, wasm.length);
    expect((await open(opened, { device: "wasm", threads: 1 })).device.relaxed).toBe(false);
    await learns(opened);
    await expect(open(opened, { device: "wasm", relaxed: true })).rejects.toThrow(/relaxed SIMD must be supported.*Use `relaxed: "auto"`/);
    const bare = await without(() => {
      WebAssembly.validate = () => false;
    }, undefined);
    await expect(open(bare, { device: "wasm" })).rejects.toThrow(/128-bit SIMD must be supported, got an engine that refuses it\. Update/);
  });

  it("without an origin-private file system trains, and says what saving needs", async () => {
    const opened = await without(() => Reflect.deleteProperty(StorageManager.prototype, "getDirectory"), undefined);
    await open(opened, { device: "wasm", threads: 1 });
    await expect(opened.page.evaluate(() => training.save())).rejects.toThrow(/no origin-private file system/);
    await learns(opened);
  });

  it("with bindings of 128 MiB keeps in parts an embedding that does not fit, and computes as without them", {
    timeout: 400_000,
  }, async () => {
    const opened = await without(
      (bytes) => {
        const limits = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, "limits")?.get as (this: GPUAdapter) => GPUSupportedLimits;
        Object.defineProperty(GPUAdapter.prototype, "limits", {
          get() {
            const real = limits.call(this);
            const small: Record<string, number> = { maxStorageBufferBindingSize: bytes, maxBufferSize: 2 * bytes };
            return new Proxy(real, { get: (_, name) => small[String(name)] ?? Reflect.get(real, name) });
          },
        });
      },
      128 * 2 ** 20,
    );
    const { device } = await open(opened, { device: "webgpu" });
    expect(device.maxBufferBytes).toBe(128 * 2 ** 20);
    // 270,000 rows of 128 channels are 131.8 MiB.
    const inParts = await opened.page.evaluate(() => training.logps(270_000));
    await opened.page.evaluate(() => training.close());
    await open(opened, { device: "wasm" });
    const whole = await opened.page.evaluate(() => training.logps(270_000));
    expect(inParts.length).toBeGreaterThan(0);
    expectClose(inParts, whole, { rtol: 0, atol: 1e-4 });
    await opened.page.evaluate(() => training.close());
    expect(opened.problems).toEqual([]);
  });
});

/** What the page has. */
declare const training: EnginePage;

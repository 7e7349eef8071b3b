/** Places of a browser: addresses read by ranges and kept, storage written all or nothing, dropped files; what is missing is said. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeBrowser, openPage, type WatchedPage } from "./browser";
import { type PlainGlobal, plainSite } from "./plain-page";
import { type Site, serveSite } from "./site";

declare const trimtab: PlainGlobal;

/** Twenty million bytes that say where they are. */
const LARGE = Uint8Array.from({ length: 20_000_000 }, (_, index) => (index * 2654435761) >>> 24);
const FILES = { "/model/config.json": '{"a": 1}', "/model/weights.bin": LARGE, "/model/empty.txt": "" };

/** Reads a part of a file of an address; undefined where there is no such file. */
const read = async ({ url, name, offset, length }: { url: string; name: string; offset: number; length: number }) => {
  try {
    const source = await (await trimtab.openPlace({ url })).open(name);
    return source && { size: source.size, bytes: [...(await source.read(offset, length))] };
  } catch (error) {
    return { error: (error as Error).name, message: (error as Error).message };
  }
};

const expected = (offset: number, length: number) => ({ size: LARGE.length, bytes: [...LARGE.subarray(offset, offset + length)] });

/** Makes what waits before another try wait a fiftieth of it. */
const hurry = () => {
  const wait = setTimeout;
  Object.assign(globalThis, { setTimeout: (call: () => void, ms: number) => wait(call, ms / 50) });
};

describeBrowser("places of a browser", (browser) => {
  const sites: Site[] = [];
  const serve = async (options: Parameters<typeof plainSite>[0]) => {
    const site = await serveSite(plainSite({ ...options, files: { ...FILES, ...options?.files } }));
    sites.push(site);
    return site;
  };
  let site: Site;
  let watched: WatchedPage;
  beforeAll(async () => {
    site = await serve({});
    watched = await browser.open(site.origin);
  });
  afterAll(async () => {
    for (const each of sites) await each.close();
  });
  const modelRequests = (of: Site) => of.requests.filter(({ path }) => path.startsWith("/model/"));

  it("reads an address by ranges, keeps what it read, and notices a new version", async () => {
    const parts = { url: "model", name: "weights.bin", offset: 8_388_600, length: 20 };
    expect(await watched.page.evaluate(read, parts)).toEqual(expected(8_388_600, 20));
    // The first part says how long the file is; then the two parts at whose border the bytes lie.
    expect(modelRequests(site).map(({ range }) => range)).toEqual(["bytes=0-4194303", "bytes=4194304-8388607", "bytes=8388608-12582911"]);
    expect(await watched.page.evaluate(read, { ...parts, url: "/model/" })).toEqual(expected(8_388_600, 20));
    expect(modelRequests(site).slice(3)).toMatchObject([{ range: "bytes=0-0" }]);
    expect(await watched.page.evaluate(read, { ...parts, offset: 19_999_990, length: 10 })).toEqual(expected(19_999_990, 10));
    expect(await watched.page.evaluate(read, { ...parts, offset: 19_999_990, length: 11 })).toMatchObject({ error: "CheckpointError" });
    expect(await watched.page.evaluate(read, { ...parts, name: "config.json", offset: 0, length: 8 })).toMatchObject({ size: 8 });
    expect(await watched.page.evaluate(read, { ...parts, name: "empty.txt", offset: 0, length: 0 })).toEqual({ size: 0, bytes: [] });
    expect(await watched.page.evaluate(() => trimtab.clearModelCache())).toBe(true);
    expect(await watched.page.evaluate(() => trimtab.clearModelCache())).toBe(false);
  });

  it("keeps no file without a version, and reads none that became another one", async () => {
    let version: string | undefined;
    const own = await serve({ version: () => version });
    const { page } = await browser.open(own.origin);
    const parts = { url: "model", name: "weights.bin", offset: 100, length: 4 };
    for (let i = 0; i < 2; i++) expect(await page.evaluate(read, parts)).toEqual(expected(100, 4));
    expect(modelRequests(own).map(({ range }) => range)).toEqual(["bytes=0-4194303", "bytes=0-4194303"]);

    version = "one";
    const source = await page.evaluateHandle(async () => (await trimtab.openPlace({ url: "model" })).open("weights.bin"));
    version = "two";
    const failed = await page.evaluate((opened) => opened?.read(5_000_000, 4).then(String, (error) => String(error)), source);
    expect(failed).toContain("must stay as it was opened");
    expect(await page.evaluate(read, { ...parts, offset: 5_000_000 })).toEqual(expected(5_000_000, 4));
  });

  it("goes on without the server once a file is kept", async () => {
    let isDown = false;
    const own = await serve({
      intercept: (_, response) => {
        if (isDown) response.socket?.destroy();
        return isDown;
      },
    });
    const { page } = await browser.open(own.origin);
    await page.evaluate(hurry);
    const parts = { url: "model", name: "weights.bin", offset: 100, length: 4 };
    expect(await page.evaluate(read, parts)).toEqual(expected(100, 4));
    isDown = true;
    expect(await page.evaluate(read, parts)).toEqual(expected(100, 4));
  });

  it("tries again when a server is busy, and gives up with its words", async () => {
    let failures = 2;
    const own = await serve({
      intercept: (request, response) => {
        if (!request.url?.startsWith("/model/") || failures-- <= 0) return false;
        response.writeHead(503).end();
        return true;
      },
    });
    const { page } = await browser.open(own.origin);
    await page.evaluate(hurry);
    const parts = { url: "model", name: "config.json", offset: 0, length: 8 };
    expect(await page.evaluate(read, parts)).toMatchObject({ size: 8 });
    failures = 100;
    expect(await page.evaluate(read, { ...parts, name: "weights.bin" })).toMatchObject({
      error: "CheckpointError",
      message: expect.stringMatching(/weights\.bin.*status 503 in 4 tries/),
    });
  });

  it("knows what is not there: also on servers that answer a page or ignore ranges", async () => {
    expect(await watched.page.evaluate(read, { url: "model", name: "none.json", offset: 0, length: 0 })).toBeUndefined();
    const asked = site.requests.length;
    const listed = await watched.page.evaluate(async () => {
      const directory = await trimtab.openPlace({ url: "model", names: ["config.json"] });
      return [(await directory.open("config.json"))?.size, await directory.open("none.json")];
    });
    expect(listed).toEqual([8, undefined]);
    expect(site.requests).toHaveLength(asked + 1);

    const own = await serve({
      hasRanges: false,
      intercept: (request, response) => {
        if (!request.url?.endsWith("none.json")) return false;
        response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html>");
        return true;
      },
    });
    const { page } = await browser.open(own.origin);
    const warnings: string[] = [];
    page.on("console", (message) => warnings.push(message.text()));
    expect(await page.evaluate(read, { url: "model", name: "none.json", offset: 0, length: 0 })).toBeUndefined();
    expect(await page.evaluate(read, { url: "model", name: "weights.bin", offset: 8_388_600, length: 20 })).toEqual(
      expected(8_388_600, 20),
    );
    expect(warnings.join()).toContain("ignores Range requests");
  });

  it("writes storage all or nothing, and merges", async () => {
    const seen = await watched.page.evaluate(async () => {
      const text = async (name: string) => {
        const source = await (await trimtab.openPlace({ storage: "runs/one" })).open(name);
        return source && new TextDecoder().decode(await source.read(0, source.size));
      };
      const directory = await trimtab.openPlace({ storage: "/runs/one" });
      const seen: unknown[] = [];
      await directory.write(
        new Map<string, string>([
          ["a", "first a"],
          ["b", "first b"],
        ]),
      );
      await directory.write(new Map([["b", "second b"]]));
      seen.push([await text("a"), await text("b"), await text("c")]);
      const failing = async function* () {
        yield new TextEncoder().encode("third");
        throw new Error("the power went out");
      };
      for (const replace of [true, false]) {
        const torn = directory.write(
          new Map<string, string | AsyncIterable<Uint8Array>>([
            ["a", "third a"],
            ["b", failing()],
          ]),
          { replace },
        );
        seen.push(await torn.catch((error) => error.message));
      }
      seen.push([await text("a"), await text("b")]);
      await directory.write(new Map([["b", "fourth b"]]), { replace: true });
      seen.push([await text("a"), await text("b")]);
      await directory.write(new Map([["a", "fifth a"]]), { remove: ["a", "b", "none"] });
      seen.push([await text("a"), await text("b")]);
      const root = await navigator.storage.getDirectory();
      const handle = await (await root.getDirectoryHandle("runs")).getDirectoryHandle("one");
      const names: string[] = [];
      for await (const name of handle.keys()) names.push(name);
      seen.push(names.sort());
      return seen;
    });
    expect(seen).toEqual([
      ["first a", "second b", undefined],
      "the power went out",
      "the power went out",
      ["first a", "second b"],
      [undefined, "fourth b"],
      ["fifth a", undefined],
      ["files-4", "index-4.json"],
    ]);
  });

  it("lists, removes, and survives a tab that died while it wrote", async () => {
    const seen = await watched.page.evaluate(async () => {
      const run = await trimtab.openPlace({ storage: "runs/two" });
      const seen: unknown[] = [await run.list()];
      for (const name of ["checkpoint-1", "checkpoint-2"]) await run.child(name).write(new Map([["a", name]]), { replace: true });
      seen.push([...(await run.list())].sort());
      await run.remove("checkpoint-1");
      seen.push(await run.list());
      // What a write leaves that was cut off: files of the next generation, and half an index.
      const root = await navigator.storage.getDirectory();
      let handle = root;
      for (const name of ["runs", "two", "checkpoint-2"]) handle = await handle.getDirectoryHandle(name);
      await (await handle.getDirectoryHandle("files-2", { create: true })).getFileHandle("a", { create: true });
      const index = await (await handle.getFileHandle("index-2.json", { create: true })).createWritable();
      await index.write('{"a":');
      await index.close();
      const source = await run.child("checkpoint-2").open("a");
      seen.push(source && new TextDecoder().decode(await source.read(0, source.size)));
      await run.child("checkpoint-2").write(new Map([["a", "again"]]), { replace: true });
      const names: string[] = [];
      for await (const name of handle.keys()) names.push(name);
      seen.push(names.sort());
      await trimtab.removeStored("runs/two");
      await trimtab.removeStored("runs/two");
      seen.push(await run.list());
      return seen;
    });
    expect(seen).toEqual([[], ["checkpoint-1", "checkpoint-2"], ["checkpoint-2"], "checkpoint-2", ["files-2", "index-2.json"], []]);
  });

  it("says that storage is gone, full, forbidden or missing", async () => {
    const gone = await watched.page.evaluate(async () => {
      const place = { storage: "models/evicted" };
      await (await trimtab.openPlace(place)).write(new Map([["config.json", "{}"]]));
      await (await navigator.storage.getDirectory()).removeEntry("models", { recursive: true });
      const device = await trimtab.createDevice("reference");
      return trimtab.loadModel(place, { device }).catch((error) => ({ name: error.name, message: error.message }));
    });
    expect(gone).toEqual({
      name: "CheckpointError",
      message: expect.stringMatching(/nothing stored there.*browser removed it.*persistStorage/),
    });

    const context = await browser.newContext();
    const { page } = await openPage(context, site.origin);
    const session = await context.newCDPSession(page);
    await session.send("Storage.overrideQuotaForOrigin", { origin: site.origin, quotaSize: 1_000_000 });
    const full = await page.evaluate(async () => {
      const directory = await trimtab.openPlace({ storage: "large" });
      await directory.write(new Map([["small", "kept"]]));
      const error = await directory.write(new Map([["large", new Uint8Array(5_000_000)]])).catch((thrown) => thrown);
      const source = await directory.open("small");
      return [error.name, error.code, error.message, error.quotaBytes, source?.size];
    });
    expect(full).toEqual(["StorageError", "STORAGE", expect.stringMatching(/must have room.*MiB in use/), full[3], 4]);

    const without = await page.evaluate(async () => {
      Reflect.deleteProperty(StorageManager.prototype, "getDirectory");
      return trimtab.openPlace({ storage: "x" }).catch((error) => [error.name, error.message]);
    });
    expect(without).toEqual(["StorageError", expect.stringContaining("no origin-private file system")]);
    const outside = await watched.page.evaluate(() => trimtab.openPlace({ storage: "a/../b" }).catch((error) => error.message));
    expect(outside).toContain('got "a/../b"');
  });

  it("reads dropped files, of which those nearest the top count, and does not write them", async () => {
    const seen = await watched.page.evaluate(async () => {
      const nested = new File(["deep"], "config.json");
      Object.defineProperty(nested, "webkitRelativePath", { value: "poet/onnx/config.json" });
      const top = new File(["top"], "config.json");
      Object.defineProperty(top, "webkitRelativePath", { value: "poet/config.json" });
      const directory = await trimtab.openPlace({ files: [top, nested] });
      const source = await directory.open("config.json");
      const named = await (await trimtab.openPlace({ files: { "a.txt": new Blob(["named"]) } })).open("a.txt");
      return [
        source && new TextDecoder().decode(await source.read(0, source.size)),
        named && new TextDecoder().decode(await named.read(1, 3)),
        await directory.open("none"),
        await directory.write(new Map([["a", "b"]])).catch((error) => error.name),
      ];
    });
    expect(seen).toEqual(["top", "ame", undefined, "CheckpointError"]);
    expect(watched.problems.filter((problem) => !/status of (404|416)/.test(problem))).toEqual([]);
  });

  it("reads and writes a directory that was picked", async () => {
    const seen = await watched.page.evaluate(async () => {
      // Storage gives handles of the same kind as a picker, which a test cannot click.
      const handle = await (await navigator.storage.getDirectory()).getDirectoryHandle("picked", { create: true });
      const directory = await trimtab.openPlace({ directory: handle });
      await directory.write(
        new Map<string, string>([
          ["a", "1"],
          ["b", "2"],
        ]),
      );
      await directory.write(new Map([["a", "3"]]), { replace: true });
      await directory.child("inside").write(new Map([["c", "4"]]));
      const source = await directory.open("a");
      return [
        source && new TextDecoder().decode(await source.read(0, source.size)),
        await directory.open("b"),
        await directory.list(),
        (await directory.child("inside").open("c"))?.size,
        await directory.child("none").open("c"),
        await directory.write(new Map([["d", "5"]]), { remove: ["a", "d", "none"] }),
        await directory.open("a"),
        (await directory.open("d"))?.size,
      ];
    });
    expect(seen).toEqual(["3", undefined, ["inside"], 1, undefined, undefined, undefined, 1]);
  });
});

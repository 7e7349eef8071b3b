/** Models from the hub: a server of this machine that speaks its endpoints, interrupted, wrong, refusing, twice at once, and away. */
import { spawn } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { HubError, StorageError } from "@trimtab/core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type HubOptions, hubSnapshot } from "../src/hub/hub-snapshot";
import { COMMIT, FakeHub, type FakeRepository } from "./fake-hub";

const PATIENCE = { tries: 3, firstDelayMs: 1, longestDelayMs: 1500, silenceMs: 400 };
const text = (value: string) => new TextEncoder().encode(value);
/** Bytes without a period that a lost piece could hide behind. */
const noise = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 2654435761) >>> 24);
const WEIGHTS = noise(300_000);
const FILES = { "config.json": text("{}"), "tokenizer.json": text('{"a": 1}'), "model.safetensors": WEIGHTS, "README.md": text("# Hi") };
const TOKEN = "hf_secret";

let hub: FakeHub;
let cacheDir = "";
const folders: string[] = [];
beforeAll(async () => {
  hub = await FakeHub.start();
});
afterAll(async () => {
  await hub.close();
  for (const folder of folders) rmSync(folder, { recursive: true });
});
beforeEach(() => {
  hub.reset();
  hub.repositories.clear();
  hub.repositories.set("org/poet", { files: FILES });
  cacheDir = mkdtempSync(join(tmpdir(), "trimtab-hub-"));
  folders.push(cacheDir);
});

const snapshot = (name = "org/poet", options: HubOptions = {}) =>
  hubSnapshot(name, { endpoint: hub.endpoint, cacheDir, token: false, ...options }, "model", PATIENCE);
const repository = (change: Partial<FakeRepository>) => hub.repositories.set("org/poet", { files: FILES, ...change });
const inCache = (...parts: string[]) => join(cacheDir, "models--org--poet", ...parts);
const blobs = () => readdirSync(inCache("blobs")).sort();
const blob = (name: keyof typeof FILES) => FakeHub.etag(name, FILES[name]);

async function refusal(work: Promise<unknown>): Promise<HubError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HubError);
  return error as HubError;
}

describe("the cache", () => {
  it("has huggingface_hub's layout: blobs by hash, a snapshot of relative links, a ref", async () => {
    const path = await snapshot();
    expect(path).toBe(inCache("snapshots", COMMIT));
    expect(readFileSync(inCache("refs", "main"), "utf8")).toBe(COMMIT);
    // Nothing but what is read: no README.md. The hashes are those of `git hash-object` and `sha256sum`.
    expect(readdirSync(path).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    expect(readlinkSync(join(path, "config.json"))).toBe("../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b");
    expect(readlinkSync(join(path, "model.safetensors"))).toBe(`../../blobs/${blob("model.safetensors")}`);
    expect(readFileSync(join(path, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(blobs()).toEqual([blob("config.json"), blob("model.safetensors"), blob("tokenizer.json")].sort());
  });

  it("is asked first: a second load downloads nothing, a new commit only what changed", async () => {
    await snapshot();
    hub.reset();
    await snapshot();
    expect(hub.seen.map(({ path }) => path)).toEqual(["/api/models/org/poet/revision/main", `/api/models/org/poet/tree/${COMMIT}`]);
    const later = "f".repeat(40);
    repository({ files: { ...FILES, "config.json": text("{ }") }, refs: { main: later } });
    hub.reset();
    const path = await snapshot();
    expect(path).toBe(inCache("snapshots", later));
    expect(hub.seen.filter(({ path: asked }) => !asked.startsWith("/api")).map(({ path: asked }) => asked)).toEqual([
      `/org/poet/resolve/${later}/config.json`,
    ]);
    expect(readFileSync(inCache("refs", "main"), "utf8")).toBe(later);
    expect(lstatSync(join(path, "model.safetensors")).isSymbolicLink()).toBe(true);
  });

  it("knows branches, tags and commits, in the name or beside it", async () => {
    repository({ refs: { main: "e".repeat(40), "v1.0": COMMIT, "refs/pr/1": COMMIT } });
    for (const [name, revision] of [["org/poet@v1.0"], ["org/poet", "refs/pr/1"], ["org/poet", COMMIT]]) {
      expect(await snapshot(name, { revision })).toBe(inCache("snapshots", COMMIT));
    }
    expect(readFileSync(inCache("refs", "refs", "pr", "1"), "utf8")).toBe(COMMIT);
    expect(existsSync(inCache("refs", COMMIT))).toBe(false);
    await expect(snapshot("org/poet@v1.0", { revision: "v2" })).rejects.toThrow(/one revision must be given/);
    await expect(snapshot("org/poet", { revision: "../../x" })).rejects.toThrow(/must be a branch, tag or commit/);
    await expect(snapshot("org/../../etc")).rejects.toThrow(/must be `org\/name`/);
  });

  it("serves alone when offline, and says what it lacks", async () => {
    const offline = { localFilesOnly: true };
    expect((await refusal(snapshot("org/poet", offline))).message).toMatch(/offline.*got nothing of it.*trimtab download org\/poet/);
    const path = await snapshot();
    hub.reset();
    expect(await snapshot("org/poet", offline)).toBe(path);
    expect(hub.seen).toEqual([]);
    rmSync(inCache("blobs", blob("model.safetensors")));
    expect((await refusal(snapshot("org/poet", offline))).message).toMatch(/got only config\.json, tokenizer\.json/);
  });

  it("serves, with a warning, where the hub does not answer", async () => {
    const path = await snapshot();
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const closed = await FakeHub.start();
    const away = { endpoint: closed.endpoint };
    await closed.close();
    expect(await snapshot("org/poet", away)).toBe(path);
    expect(warn.mock.calls.map(String)).toEqual([expect.stringMatching(/must answer, got .*ECONNREFUSED.*in 1 tries.*cache are used/)]);
    warn.mockRestore();
    await expect(snapshot("org/other", away)).rejects.toThrow(/in 3 tries/);
  });
});

describe("an interrupted download", () => {
  it("goes on where the connection was cut or fell silent", async () => {
    hub.fail("model.safetensors", { kind: "cut", afterBytes: 100_000 }, { kind: "silence", afterBytes: 50_000 });
    const progress: number[] = [];
    const path = await snapshot("org/poet", {
      onProgress: ({ file, loadedBytes }) => file === "model.safetensors" && progress.push(loadedBytes),
    });
    expect(hub.ranges("model.safetensors")).toEqual([undefined, "bytes=100000-", "bytes=150000-"]);
    expect(readFileSync(join(path, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(progress.at(-1)).toBe(WEIGHTS.length);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  it("that failed is continued by the next one", async () => {
    hub.fail("model.safetensors", { kind: "cut", afterBytes: 100_000 }, ...Array(3).fill({ kind: "cut", afterBytes: 0 }));
    const error = await refusal(snapshot());
    expect(error).toMatchObject({ repository: "org/poet", file: "model.safetensors" });
    expect(error.message).toMatch(/must arrive whole, got 100000 of 300000 bytes/);
    expect(existsSync(join(inCache("snapshots", COMMIT), "model.safetensors"))).toBe(false);
    hub.reset();
    await snapshot();
    expect(hub.ranges("model.safetensors")).toEqual(["bytes=100000-"]);
    expect(blobs().filter((name) => name.includes("incomplete"))).toEqual([]);
  });

  it("whose process was killed is continued; that of a living one is not touched", async () => {
    const host = hostname().replace(/[^A-Za-z0-9]/g, "_");
    const { pid: dead } = spawn(process.execPath, ["-e", ""]);
    await vi.waitFor(() => expect(() => process.kill(dead as number, 0)).toThrow(), 5000);
    mkdirSync(inCache("blobs"), { recursive: true });
    const left = (owner: string, bytes: number) => {
      const path = inCache("blobs", `${blob("model.safetensors")}.${owner}.incomplete`);
      writeFileSync(path, WEIGHTS.subarray(0, bytes));
      return path;
    };
    left(`${host}-${dead}-abc`, 1000);
    const alive = [left(`${host}-${process.pid}-abc`, 2000), left("elsewhere-7-abc", 3000)];
    await snapshot();
    expect(hub.ranges("model.safetensors")).toEqual(["bytes=1000-"]);
    expect(alive.every((path) => existsSync(path))).toBe(true);
    // Nobody has written to it for so long that its owner, on a machine that cannot be seen from here, must be gone.
    rmSync(inCache("blobs", blob("model.safetensors")));
    utimesSync(alive[1] as string, new Date(0), new Date(0));
    hub.reset();
    await snapshot();
    expect(hub.ranges("model.safetensors")).toEqual(["bytes=3000-"]);
  });

  it("starts again where the server knows no ranges, or where what was left is too long", async () => {
    hub.fail("model.safetensors", { kind: "cut", afterBytes: 1000 }, { kind: "ignore-range" });
    const path = await snapshot();
    expect(readFileSync(join(path, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    rmSync(inCache("blobs", blob("model.safetensors")));
    writeFileSync(inCache("blobs", `${blob("model.safetensors")}.left-1.incomplete`), noise(300_001));
    hub.reset();
    await snapshot();
    expect(hub.ranges("model.safetensors")).toEqual([undefined]);
  });

  it("by the application stops at once and leaves what came", async () => {
    const controller = new AbortController();
    hub.fail("model.safetensors", { kind: "silence", afterBytes: 64_000 });
    const stopping = snapshot("org/poet", {
      signal: controller.signal,
      onProgress: ({ loadedBytes }) => loadedBytes === 64_000 && controller.abort(new Error("enough")),
    });
    await expect(stopping).rejects.toThrow("enough");
    hub.reset();
    await snapshot();
    expect(hub.ranges("model.safetensors")).toEqual(["bytes=64000-"]);
  });
});

describe("what arrives", () => {
  it.each(["model.safetensors", "config.json"] as const)("is refused and deleted where the hash is wrong: %s", async (file) => {
    hub.fail(file, { kind: "flip" });
    const error = await refusal(snapshot());
    expect(error.message).toMatch(
      new RegExp(`${file}: the file's hash must be ${blob(file)}, got [0-9a-f]+\\. What was downloaded has been deleted`),
    );
    expect(blobs().filter((name) => name.startsWith(blob(file)))).toEqual([]);
    hub.reset();
    await snapshot();
    expect(hub.seen.filter(({ path }) => path.endsWith(`/${file}`)).every(({ range }) => range === undefined)).toBe(true);
  });

  it("is refused where its length is not the listed one", async () => {
    hub.fail("model.safetensors", { kind: "length", bytes: 5 });
    expect((await refusal(snapshot())).message).toMatch(/300000 bytes must come, got a Content-Length of 5/);
  });

  it("is not begun where there is no room for it", async () => {
    repository({ sizes: { "model.safetensors": 2 ** 60 } });
    const error = await snapshot().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StorageError);
    expect((error as StorageError).message).toMatch(/must have room for 11529215\d+ bytes, got \d+/);
    expect(hub.ranges("model.safetensors")).toEqual([]);
  });
});

describe("a repository", () => {
  it("may come in shards, all of which must be there", async () => {
    const { "model.safetensors": _, ...rest } = FILES;
    const index = (...shards: string[]) =>
      text(JSON.stringify({ weight_map: Object.fromEntries(shards.map((name, i) => [`t${i}`, name])) }));
    const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const files = {
      ...rest,
      "model.safetensors.index.json": index(...shards),
      [shards[0] as string]: noise(10),
      [shards[1] as string]: noise(20),
      "consolidated.safetensors": noise(30),
    };
    repository({ files });
    expect(readdirSync(await snapshot()).sort()).toEqual(["config.json", ...shards, "model.safetensors.index.json", "tokenizer.json"]);
    rmSync(inCache("snapshots", COMMIT, shards[1] as string));
    expect((await refusal(snapshot("org/poet", { localFilesOnly: true }))).message).toMatch(/got only .*00001-of-00002/);
    const missing = { ...files };
    delete (missing as Record<string, unknown>)[shards[1] as string];
    repository({ files: missing });
    expect((await refusal(snapshot())).message).toMatch(/every shard.*got no model-00002-of-00002\.safetensors/);
    repository({ files: { ...files, "model.safetensors.index.json": index("../../../evil.safetensors") } });
    await expect(snapshot()).rejects.toThrow(/must be a \.safetensors file name/);
  });

  it("without safetensors is refused by name; its pickle is never asked for", async () => {
    repository({ files: { "config.json": text("{}"), "pytorch_model.bin": noise(9) } });
    expect((await refusal(snapshot())).message).toMatch(/^org\/poet: its weights must be safetensors.*got pytorch_model\.bin.*no pickles/);
    expect(hub.seen.filter(({ path }) => path.includes("resolve"))).toEqual([]);
    repository({ files: { "README.md": text("a dataset") } });
    expect((await refusal(snapshot())).message).toMatch(/must hold a model.*got README\.md/);
  });

  it("gives an adapter's files where it holds one", async () => {
    repository({ files: { "adapter_config.json": text("{}"), "adapter_model.safetensors": noise(5), "adapter_model.bin": noise(5) } });
    expect(readdirSync(await snapshot()).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });
});

describe("the token", () => {
  it("goes to the hub alone, not to where it redirects", async () => {
    repository({ token: TOKEN });
    await snapshot("org/poet", { token: TOKEN });
    const sent = (server: string) => new Set(hub.seen.filter((one) => one.server === server).map(({ authorization }) => authorization));
    expect(sent("hub")).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect(sent("storage")).toEqual(new Set([undefined]));
  });

  it.each([
    ["nothing, where there may be something", {}, /status 401 \(RepoNotFound\) without a token.*private or gated.*Set HF_TOKEN/, 401],
    ["one that opens nothing", { token: "hf_other" }, /the repository must exist, got status 404/, 404],
  ])("that is %s is said", async (_, options, message, status) => {
    repository({ token: TOKEN });
    const error = await refusal(snapshot("org/poet", options));
    expect(error).toMatchObject({ status, message: expect.stringMatching(message) });
    expect(error.message).not.toContain("hf_other");
  });

  it("is of no use before the licence is accepted", async () => {
    repository({ isGated: true });
    expect((await refusal(snapshot("org/poet", { token: TOKEN }))).message).toMatch(
      /status 403 \(GatedRepo\)\. Accept the licence on http.*\/org\/poet with the account of your token/,
    );
    expect((await refusal(snapshot())).message).toMatch(/Accept the licence.*Set HF_TOKEN/);
  });
});

it("a repository that was renamed is found, in Python's cache by the name that was asked for", async () => {
  hub.repositories.set("org/bard", { files: FILES });
  repository({ movedTo: "org/bard" });
  expect(await snapshot()).toBe(inCache("snapshots", COMMIT));
});

describe("the hub's refusals", () => {
  it("name the revision, or the repository, that is not there", async () => {
    expect(await refusal(snapshot("org/poet", { revision: "v9" }))).toMatchObject({
      status: 404,
      message: expect.stringMatching(/the revision "v9" must exist/),
    });
    expect(await refusal(snapshot("org/nobody"))).toMatchObject({ repository: "org/nobody", status: 401 });
  });

  it("that pass are waited for as long as asked, a few times", async () => {
    const busy = { kind: "status", status: 429, headers: { "Retry-After": "1" } } as const;
    hub.fail("api", busy, { kind: "status", status: 503 });
    const started = performance.now();
    await snapshot();
    expect(performance.now() - started).toBeGreaterThan(990);
    hub.fail("api", ...Array(3).fill({ kind: "status", status: 429 }));
    expect(await refusal(snapshot("org/other"))).toMatchObject({ status: 429 });
    hub.reset();
    hub.fail("api", { kind: "status", status: 429, headers: { "Retry-After": "300" } });
    expect((await refusal(snapshot("org/other"))).message).toMatch(
      /too many requests, to be tried again after 300\. Wait, or ask with a token/,
    );
    expect(hub.seen).toHaveLength(1);
    hub.fail("model.safetensors", { kind: "status", status: 500 });
    rmSync(inCache("blobs", blob("model.safetensors")));
    await snapshot();
  });

  it("from a stranger that answers in its place are recognised", async () => {
    hub.fail("api", { kind: "page" });
    expect((await refusal(snapshot())).message).toMatch(/must answer as the Hugging Face hub does.*proxy/);
  });
});

describe("several at once", () => {
  it("in one process, with cut connections, leave one whole file", async () => {
    hub.fail("model.safetensors", ...[1, 2, 3, 4, 5].map((i) => ({ kind: "cut", afterBytes: i * 20_000 }) as const));
    const paths = await Promise.all([snapshot(), snapshot(), snapshot()]);
    expect(new Set(paths).size).toBe(1);
    expect(readFileSync(join(paths[0] as string, "model.safetensors")).equals(WEIGHTS)).toBe(true);
    expect(blobs()).toEqual([blob("config.json"), blob("model.safetensors"), blob("tokenizer.json")].sort());
  });
});

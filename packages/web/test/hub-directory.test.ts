/** Models of the hub in a browser: the same names as in Node, what is there asked once, kept, and what is refused said. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { HubError, loadTokenizer } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { COMMIT, FakeHub } from "../../node/test/fake-hub";
import { openPlace } from "../src/files/place";
import { loadModel } from "../src/model";

const bytes = (value: string) => new TextEncoder().encode(value);
const TOKENIZER = JSON.stringify({ model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: [["a", "b"]] }, added_tokens: [] });
const FILES = { "config.json": bytes('{"a": 1}'), "tokenizer.json": bytes(TOKENIZER), "model.safetensors": new Uint8Array(5_000_000) };
const TOKEN = "hf_secret";

/** As much of the Cache API as parts of files need. */
function fakeCaches() {
  const kept = new Map<string, Response>();
  const cache = {
    match: async (key: string) => kept.get(key)?.clone(),
    put: async (key: string, response: Response) => void kept.set(key, response),
    keys: async (key: string) => [...kept.keys()].filter((each) => each.split("?")[0] === key.split("?")[0]),
    delete: async (key: string) => kept.delete(key),
  };
  return { kept, open: async () => cache };
}

let hub: FakeHub;
let caches: ReturnType<typeof fakeCaches>;
beforeAll(async () => {
  hub = await FakeHub.start();
});
afterAll(async () => {
  vi.unstubAllGlobals();
  await hub.close();
});
beforeEach(() => {
  hub.reset();
  hub.repositories.clear();
  hub.repositories.set("org/poet", { files: FILES, refs: { main: COMMIT, "refs/pr/1": COMMIT } });
  caches = fakeCaches();
  vi.stubGlobal("caches", caches);
  vi.stubGlobal("location", { href: "https://studio.example/" });
});

const open = (place: object = {}) => openPlace({ hub: "org/poet", endpoint: hub.endpoint, ...place });

describe("a model of the hub", () => {
  it("is read by ranges at its revision; what is not there is not asked for", async () => {
    const directory = await open({ hub: "org/poet@refs/pr/1" });
    expect(await directory.open("generation_config.json")).toBeUndefined();
    const weights = await directory.open("model.safetensors");
    expect(weights?.size).toBe(5_000_000);
    expect((await weights?.read(4_900_000, 10))?.length).toBe(10);
    expect([...(await loadTokenizer(directory)).encode("ab")]).toEqual([2]);
    const asked = hub.seen.filter(({ server }) => server === "hub").map(({ path, range }) => [path, range]);
    expect(asked).toEqual([
      ["/api/models/org/poet/revision/refs/pr/1", undefined],
      ["/org/poet/resolve/refs/pr/1/model.safetensors", "bytes=0-4194303"],
      ["/org/poet/resolve/refs/pr/1/model.safetensors", "bytes=4194304-4999999"],
      ["/org/poet/resolve/refs/pr/1/tokenizer.json", "bytes=0-4194303"],
    ]);
  });

  it("serves from what was kept where the hub does not answer", async () => {
    const other = await FakeHub.start();
    other.repositories.set("org/poet", { files: FILES });
    const { endpoint } = other;
    expect([...(await loadTokenizer(await open({ endpoint }))).encode("ab")]).toEqual([2]);
    await other.close();
    // Without the waits between tries.
    const wait = setTimeout;
    // Only waits between tries: the time limits of Node's own requests stay as they are.
    vi.stubGlobal("setTimeout", (call: () => void, ms: number, ...more: unknown[]) => wait(call, more.length > 0 ? ms : 0, ...more));
    expect([...(await loadTokenizer(await open({ endpoint }))).encode("ab")]).toEqual([2]);
    await expect(open({ endpoint, hub: "org/other" })).rejects.toThrow(/must come from http.*in 4 tries/);
    vi.unstubAllGlobals();
  });

  it("takes a token, which goes to the hub alone and is kept nowhere", async () => {
    hub.repositories.set("org/poet", { files: FILES, token: TOKEN });
    const directory = await open({ token: TOKEN });
    await (await directory.open("model.safetensors"))?.read(0, 8);
    const sent = (server: string) => new Set(hub.seen.filter((one) => one.server === server).map(({ authorization }) => authorization));
    expect(sent("hub")).toEqual(new Set([`Bearer ${TOKEN}`]));
    expect(sent("storage")).toEqual(new Set([undefined]));
    expect(caches.kept.size).toBeGreaterThan(2);
    expect([...caches.kept.keys()].join()).not.toContain(TOKEN);
  });

  it("may be an adapter, with the base that it names", async () => {
    const folder = (name: string) => fileURLToPath(new URL(`../../../fixtures/models/${name}`, import.meta.url));
    const files = (name: string, ...wanted: string[]) =>
      Object.fromEntries(wanted.map((file) => [file, new Uint8Array(readFileSync(`${folder(name)}/${file}`))]));
    const weights = files("llama-untied", "config.json", "model.safetensors");
    hub.repositories.set("org/base", { files: { ...weights, "tokenizer.json": bytes(TOKENIZER) }, token: TOKEN });
    const { "adapter_config.json": config, ...adapter } = files("lora", "adapter_config.json", "adapter_model.safetensors");
    const naming = (name: string) => ({ "adapter_config.json": bytes(new TextDecoder().decode(config).replace("../llama-untied", name)) });
    hub.repositories.set("org/adapter", { files: { ...adapter, ...naming("org/base") }, token: TOKEN });
    const device = createReferenceDevice();
    const { decoder } = await loadModel("org/adapter", { device, endpoint: hub.endpoint, token: TOKEN });
    expect(decoder.adapter?.settings).toMatchObject({ r: 4, loraAlpha: 8 });
    hub.repositories.set("org/adapter", { files: { ...adapter, ...naming("../base") } });
    await expect(loadModel("org/adapter", { device, endpoint: hub.endpoint })).rejects.toThrow(/must be a name on the hub, got "..\/base"/);
    await device.destroy();
  });

  it("is refused in the words that Node has", async () => {
    hub.repositories.set("org/pickle", { files: { "config.json": bytes("{}"), "pytorch_model.bin": bytes("x") } });
    await expect(open({ hub: "org/pickle" })).rejects.toThrow(/^org\/pickle: its weights must be safetensors.*got pytorch_model\.bin/);
    const error = await open({ hub: "org/nobody" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HubError);
    expect(error).toMatchObject({ status: 401, message: expect.stringMatching(/private or gated.*Give a token/) });
    await expect(open({ revision: "v9" })).rejects.toThrow(/the revision "v9" must exist/);
    hub.fail("api", { kind: "page" });
    await expect(open()).rejects.toThrow(/must answer as the Hugging Face hub does/);
    await expect(openPlace("poet")).rejects.toThrow(/must be `org\/name`/);
    const device = {} as never;
    await expect(loadModel({ url: "./model/" }, { device, revision: "v1" })).rejects.toThrow(/revision must come with a name on the hub/);
    await expect(loadModel("org/poet", { device, revision: "v9", endpoint: hub.endpoint })).rejects.toThrow(/the revision "v9" must exist/);
  });
});

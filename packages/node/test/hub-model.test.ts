/** Models of the hub, end to end: loaded, trained on and used from the library, the command line, several processes and the engine. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readAll } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { generate, newLora, saveAdapter } from "@trimtab/core";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { runSft } from "../src/cli/commands/sft";
import { resolveOptions } from "../src/cli/options";
import { sftSchema } from "../src/cli/schemas/sft";
import { nodeDirectory } from "../src/files";
import { hubSettings } from "../src/hub/hub-settings";
import { createEngine, loadModel, loadTokenizer } from "../src/index";
import { COMMIT, FakeHub } from "./fake-hub";

const CLI = fileURLToPath(new URL("../dist/cli.js", import.meta.url));
/** 431 thousand parameters that write sentences: the model of the studio. */
const SPEECHES = fileURLToPath(new URL("../../web/studio/public/model", import.meta.url));
const device = createReferenceDevice();
const folder = mkdtempSync(join(tmpdir(), "trimtab-hub-model-"));
const at = (...parts: string[]) => join(folder, ...parts);
const filesOf = (directory: string) =>
  Object.fromEntries(
    readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => [name, new Uint8Array(readFileSync(join(directory, name)))]),
  );
const adapterConfig = (directory: string) => JSON.parse(readFileSync(join(directory, "adapter_config.json"), "utf8"));

let hub: FakeHub;
beforeAll(async () => {
  hub = await FakeHub.start();
  hub.repositories.set("org/speeches", { files: filesOf(SPEECHES), refs: { main: COMMIT, v1: COMMIT } });
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
  vi.stubEnv("HF_HOME", at("home"));
  for (const name of ["HF_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
    vi.stubEnv(name, undefined);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  rmSync(folder, { recursive: true });
});

const say = async (model: Awaited<ReturnType<typeof loadModel>>) =>
  (await generate({ model, prompts: ["My fellow Americans"], maxNewTokens: 6, temperature: 0 }))[0]?.text;

describe("a model of the hub", () => {
  it("is the directory's: the same text, from the cache afterwards, by name or by place", async () => {
    const expected = await say(await loadModel(SPEECHES, { device }));
    expect(await say(await loadModel("org/speeches", { device }))).toBe(expected);
    hub.reset();
    expect(await say(await loadModel("org/speeches", { device, localFilesOnly: true }))).toBe(expected);
    expect(hub.seen).toEqual([]);
    const place = { hub: "org/speeches", revision: "v1" };
    expect((await loadModel(place, { device })).decoder.config.layers).toBeGreaterThan(0);
  });

  it("gives its tokenizer without its weights", async () => {
    const cacheDir = at("tokenizer-only");
    const tokenizer = await loadTokenizer("org/speeches", { cacheDir });
    expect(tokenizer.decode(tokenizer.encode("The state of the union"))).toBe("The state of the union");
    const snapshot = join(cacheDir, "models--org--speeches", "snapshots", COMMIT);
    expect(readdirSync(snapshot).sort()).toEqual(["tokenizer.json", "tokenizer_config.json"]);
    expect((await loadTokenizer("org/speeches", { cacheDir, localFilesOnly: true })).vocabSize).toBe(tokenizer.vocabSize);
  });

  it("gives way to a directory of its name, which has no revisions", async () => {
    mkdirSync(at("org", "speeches"), { recursive: true });
    const path = at("org", "speeches");
    hub.reset();
    await expect(loadModel(path, { device })).rejects.toThrow(/must be in tokenizer\.json/);
    await expect(loadModel(path, { device, revision: "v1" })).rejects.toThrow(/a revision must be of a model on the hub.*the directory/);
    await expect(loadModel("runs/speeches", { device })).rejects.toThrow(
      /^runs\/speeches: the repository must exist.*There is no directory runs\/speeches here/,
    );
    hub.reset();
    await expect(loadModel("speeches", { device, revision: "v1" })).rejects.toThrow(/got "v1" of "speeches"/);
    expect(hub.seen).toEqual([]);
  });

  it("is the base of an adapter: trained by name, found again by that name, itself on the hub", async () => {
    writeFileSync(at("data.jsonl"), `${JSON.stringify({ text: "The union is strong." })}\n`);
    const options = {
      datasetName: at("data.jsonl"),
      outputDir: at("adapter"),
      usePeft: true,
      loraR: 2,
      maxSteps: 1,
      device: "reference",
      report: false,
    };
    const run = { ...options, modelNameOrPath: "org/speeches", modelRevision: "v1" };
    expect(await runSft(resolveOptions("sft", sftSchema, run))).toBe(0);
    expect(adapterConfig(at("adapter"))).toMatchObject({ base_model_name_or_path: "org/speeches", revision: "v1" });

    hub.repositories.set("org/adapter", { files: filesOf(at("adapter")) });
    const adapted = await loadModel("org/adapter", { device });
    expect(adapted.decoder.adapter?.settings.r).toBe(2);
    // PEFT's own keys: what it writes for a base of the hub is read back.
    await saveAdapter(
      { ...adapted, decoder: adapted.decoder.withAdapter(newLora(adapted.decoder, { r: 1, baseModelNameOrPath: "org/speeches" })) },
      nodeDirectory(at("again")),
    );
    expect(adapterConfig(at("again"))).toMatchObject({ base_model_name_or_path: "org/speeches", revision: null });
    expect((await loadModel(at("again"), { device })).decoder.adapter?.settings.r).toBe(1);
  });
});

describe("the built command line", () => {
  const trimtab = async (environment: NodeJS.ProcessEnv, ...argv: string[]) => {
    const child = spawn(process.execPath, [CLI, ...argv], { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
    const [out, err, code] = await Promise.all([
      readAll(child.stdout),
      readAll(child.stderr),
      new Promise((resolve) => child.once("close", resolve)),
    ]);
    return { out, err, code };
  };

  it("downloads, two processes at once over a bad line, then generates offline", async () => {
    const weights = "model.safetensors";
    hub.reset();
    hub.fail(weights, ...[100_000, 200_000, 300_000, 50_000].map((afterBytes) => ({ kind: "cut", afterBytes }) as const));
    const home = { HF_HOME: at("home-of-two") };
    const both = await Promise.all([1, 2].map(() => trimtab(home, "download", "org/speeches@v1")));
    const snapshot = at("home-of-two", "hub", "models--org--speeches", "snapshots", COMMIT);
    for (const { code, out, err } of both) {
      expect(code, err).toBe(0);
      expect(out.trim()).toBe(snapshot);
    }
    expect(readFileSync(join(snapshot, weights)).equals(readFileSync(join(SPEECHES, weights)))).toBe(true);
    expect(readdirSync(join(snapshot, "../../blobs")).filter((name) => name.includes("incomplete"))).toEqual([]);

    const generate_ = [
      "generate",
      "--prompt",
      "My fellow Americans",
      "--max-new-tokens",
      "4",
      "--temperature",
      "0",
      "--device",
      "reference",
    ];
    const offline = { ...home, HF_HUB_OFFLINE: "1", HF_ENDPOINT: "http://127.0.0.1:1" };
    const said = await trimtab(offline, ...generate_, "--model", "org/speeches", "--revision", "v1");
    expect(said, said.err).toMatchObject({ code: 0 });
    expect(said.out).toMatch(/^My fellow Americans/);
  });
});

it("loads on the engine's thread, telling of the download", async () => {
  vi.stubEnv("HF_HOME", at("home-of-engine"));
  const engine = await createEngine({ device: "reference" });
  try {
    const told = new Set<string>();
    const model = await engine.loadModel("org/speeches", { onProgress: ({ file }) => told.add(file) });
    expect(model.config.maxPositions).toBeGreaterThan(0);
    expect([...told]).toContain("model.safetensors");
    expect(existsSync(at("home-of-engine", "hub", "models--org--speeches", "refs", "main"))).toBe(true);
    await expect(engine.loadModel({ hub: "org/nobody" })).rejects.toMatchObject({ code: "HUB", status: 401, repository: "org/nobody" });
    await expect(model.save({ hub: "org/speeches" })).rejects.toThrow(/the place must be a path/);

    const base = await loadModel("org/speeches", { device });
    const lora = newLora(base.decoder, { r: 1, baseModelNameOrPath: "org/speeches" });
    await saveAdapter({ ...base, decoder: base.decoder.withAdapter(lora) }, nodeDirectory(at("small")));
    hub.repositories.set("org/small", { files: filesOf(at("small")) });
    const adapted = await engine.loadModel("org/small");
    expect(adapted.hasAdapter).toBe(true);
    const asked = { prompts: ["My fellow Americans"], maxNewTokens: 6, temperatures: [0] };
    // A new adapter changes nothing.
    expect(await adapted.generate(asked)).toEqual(await model.generate(asked));
  } finally {
    await engine.close();
  }
});

it("settings are those of huggingface_hub", () => {
  const user = { HF_HOME: undefined };
  const home = hubSettings(user).cacheDirectory.replace(/\.cache\/huggingface\/hub$/, "");
  expect(hubSettings(user)).toEqual({
    endpoint: "https://huggingface.co",
    cacheDirectory: `${home}.cache/huggingface/hub`,
    isOffline: false,
    token: hubSettings(user).token,
  });
  const cache = (environment: Record<string, string>) => hubSettings(environment).cacheDirectory;
  expect(cache({ XDG_CACHE_HOME: "/x" })).toBe("/x/huggingface/hub");
  expect(cache({ XDG_CACHE_HOME: "/x", HF_HOME: "~/hf" })).toBe(`${home}hf/hub`);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's variable, as Python expands it.
  expect(cache({ HF_HOME: "$DISK/${USER}/hf", DISK: "/d", USER: "u" })).toBe("/d/u/hf/hub");
  expect(cache({ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/new" })).toBe("/new");
  expect(cache({ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old" })).toBe("/old");
  expect(hubSettings({ HF_ENDPOINT: "https://mirror.example/" }).endpoint).toBe("https://mirror.example");
  for (const value of ["1", "true", "YES", "on"]) expect(hubSettings({ HF_HUB_OFFLINE: value }).isOffline).toBe(true);
  expect(hubSettings({ TRANSFORMERS_OFFLINE: "1" }).isOffline).toBe(true);
  expect(hubSettings({ HF_HUB_OFFLINE: "0" }).isOffline).toBe(false);
  const token = (environment: Record<string, string>) => hubSettings({ HF_HOME: at("none"), ...environment }).token;
  expect(token({})).toBeUndefined();
  expect(token({ HF_TOKEN: " hf_a\n", HUGGING_FACE_HUB_TOKEN: "hf_b" })).toBe("hf_a");
  expect(token({ HUGGING_FACE_HUB_TOKEN: "hf_b" })).toBe("hf_b");
  writeFileSync(at("token"), "hf_c\n");
  expect(token({ HF_TOKEN_PATH: at("token") })).toBe("hf_c");
  expect(token({ HF_HOME: folder })).toBe("hf_c");
  expect(token({ HF_HOME: folder, HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" })).toBeUndefined();
});

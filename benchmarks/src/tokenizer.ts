/** Tokenizers beside npm's, one thread: encoding of English, code and Chinese, decoding, memory; the same vocabulary and the same ids for all. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { splitExpressions, Tokenizer } from "@trimtab/core";
import type { Section } from "./measure/section";
import { type Contestant, race } from "./measure/timing";
import { importPeer, peersInstalled } from "./peers";
import { speeches } from "./text";

interface LoadedTokenizer {
  encode(text: string): ArrayLike<number>;
  decode(ids: ArrayLike<number>): string;
}

interface PeerTokenizers {
  readonly names: readonly string[];
  ranks(): string;
  load(name: string, json: unknown): Promise<LoadedTokenizer>;
}

const LENGTH = 500_000;

/** Sources of this repository. */
function code(): string {
  const folder = fileURLToPath(new URL("../../packages/core/src/", import.meta.url));
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  return files.map((path) => readFileSync(join(folder, path), "utf8")).join("\n");
}

/** TypeScript's messages in simplified and in traditional Chinese. */
function chinese(): string {
  const library = createRequire(import.meta.url).resolve("typescript");
  const messages = ["zh-cn", "zh-tw"].flatMap((language) =>
    Object.values<string>(JSON.parse(readFileSync(join(library, "..", language, "diagnosticMessages.generated.json"), "utf8"))),
  );
  return messages.join("\n");
}

const texts = (): [name: string, text: string][] =>
  Object.entries({ English: speeches(), code: code(), Chinese: chinese() }).map(([name, text]) => [name, text.slice(0, LENGTH)]);
const megabytes = (text: string) => new TextEncoder().encode(text).length / 1e6;

/** Best MB/s of each, and how much faster the first is than the fastest of the others. */
async function rates(mb: number, contestants: readonly Contestant[]): Promise<(number | null)[]> {
  const timings = await race(contestants, { minRounds: 3, maxRounds: 12, budgetMs: 4000 });
  const best = timings.map(({ bestMs }) => (mb / bestMs) * 1000);
  return [...best, best.length > 1 ? best[0]! / Math.max(...best.slice(1)) : null];
}

/** MB that each keeps when loaded in a process of its own, and MB that it takes meanwhile; how many times ours the first of the others, the fastest, takes. */
function memory(names: readonly string[], json: unknown): { kept: number[]; peak: number[] } {
  const folder = mkdtempSync(join(tmpdir(), "trimtab-bench-"));
  const path = join(folder, "tokenizer.json");
  writeFileSync(path, JSON.stringify(json));
  const script = fileURLToPath(new URL("../peers/tokenizer-memory.mjs", import.meta.url));
  const figures = names.map((name) => {
    const printed = execFileSync(process.execPath, ["--expose-gc", script, name, path], { encoding: "utf8" });
    return printed.split(" ").map((bytes) => Number(bytes) / 1e6);
  });
  rmSync(folder, { recursive: true });
  const column = (i: number) => figures.map((row) => row[i]!);
  const compared = (mb: number[]) => [...mb, mb[1]! / mb[0]!];
  return { kept: compared(column(0)), peak: compared(column(1)) };
}

export async function benchmarkTokenizer(options: { peers: boolean }): Promise<Section> {
  const before = performance.now();
  const trained = Tokenizer.train([speeches()], { vocabSize: 4096 });
  const notes = [
    `training a vocabulary of 4,096 on ${megabytes(speeches()).toFixed(1)} MB: ${((performance.now() - before) / 1000).toFixed(2)} s`,
  ];
  const peers = options.peers && peersInstalled() ? await importPeer<PeerTokenizers>("tokenizers.mjs") : undefined;
  const own = peers ? Tokenizer.fromTiktoken(peers.ranks(), { expression: splitExpressions.cl100k }) : trained;
  const json = own.toJSON();
  const others = await Promise.all((peers?.names ?? []).map(async (name) => ({ name, tokenizer: await peers!.load(name, json) })));
  const all: { name: string; tokenizer: LoadedTokenizer }[] = [{ name: "trimtab", tokenizer: own }, ...others];
  const rows: (string | number | null)[][] = [];
  for (const [name, text] of texts()) {
    const ids = own.encode(text);
    for (const { name: peer, tokenizer } of others) {
      if (Array.from(tokenizer.encode(text)).join() !== ids.join()) notes.push(`${peer} gives other ids for the ${name} text`);
    }
    const encoders = all.map(({ name, tokenizer }) => ({ name, run: async () => tokenizer.encode(text) }));
    rows.push([`encode ${name}, MB/s`, ...(await rates(megabytes(text), encoders))]);
    if (name !== "English") continue;
    const decoders = all.map(({ name, tokenizer }) => {
      const theirs = name === "trimtab" ? ids : Array.from(ids);
      return { name, run: async () => tokenizer.decode(name === "tiktoken" ? ids : theirs) };
    });
    rows.push([`decode ${name}, MB/s`, ...(await rates(megabytes(text), decoders))]);
  }
  if (peers) {
    const { kept, peak } = memory(
      all.map(({ name }) => name),
      json,
    );
    rows.push(["memory kept, MB", ...kept], ["memory while loading, MB", ...peak]);
  }
  notes.push("targets: encoding 2x the fastest peer, half its memory (the last column: how many times better ours is)");
  return {
    title: peers ? "Tokenizers (cl100k)" : "Tokenizer (trained here; no peers)",
    columns: ["", ...all.map(({ name }) => name), "ours is better by"],
    rows,
    notes,
  };
}

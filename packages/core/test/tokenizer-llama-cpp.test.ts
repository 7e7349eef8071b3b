/** llama.cpp's own pairs of texts and ids; needs its vocabularies in ../shared, which are too large to commit. */
/// <reference types="node" />
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Tokenizer, type TokenizerJson } from "../src/tokenizer/index";

const shared = new URL("../../../../shared/data/tokenizers/", import.meta.url);
const read = (path: string) => readFileSync(new URL(path, shared), "utf8");

/** Texts and ids; a text ends with a line that separates it from the next. */
function pairs(name: string): [text: string, ids: number[]][] {
  const texts = read(`llama.cpp/${name}.gguf.inp`).split("\n__ggml_vocab_test__\n");
  const rows = read(`llama.cpp/${name}.gguf.out`).split("\n");
  return texts.map((text, i) => [text, (rows[i] ?? "").trim().split(" ").filter(Boolean).map(Number)]);
}

/** Metadata of a GGUF file (version 3): the key-value pairs before its tensors. */
function ggufMetadata(bytes: Buffer): Map<string, unknown> {
  let at = 8;
  const sizes: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
  /** The place of the next bytes, which are then read. */
  const next = (size: number) => {
    at += size;
    return at - size;
  };
  const u32 = () => bytes.readUInt32LE(next(4));
  const u64 = () => Number(bytes.readBigUInt64LE(next(8)));
  const text = () => {
    const length = u64();
    return bytes.toString("utf8", next(length), at);
  };
  const value = (type: number): unknown => {
    if (type === 8) return text();
    if (type === 9) {
      const inner = u32();
      return Array.from({ length: u64() }, () => value(inner));
    }
    const place = next(sizes[type]!);
    if (type === 6) return bytes.readFloatLE(place);
    return type === 5 ? bytes.readInt32LE(place) : bytes.readUIntLE(place, Math.min(6, sizes[type]!));
  };
  u64();
  const metadata = new Map<string, unknown>();
  for (let left = u64(); left > 0; left--) {
    const key = text();
    metadata.set(key, value(u32()));
  }
  return metadata;
}

/** tokenizer.json of a SentencePiece byte-pair vocabulary, as transformers converts it: every pair of tokens that makes a token, best score first. */
function sentencePieceJson(tokens: string[], scores: number[]): TokenizerJson {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: { pair: [string, string]; score: number }[] = [];
  tokens.forEach((token, id) => {
    const found: [string, string][] = [];
    for (let i = 1; i < token.length; i++)
      if (ids.has(token.slice(0, i)) && ids.has(token.slice(i))) found.push([token.slice(0, i), token.slice(i)]);
    found.sort((a, b) => ids.get(a[0])! - ids.get(b[0])! || ids.get(a[1])! - ids.get(b[1])!);
    merges.push(...found.map((pair) => ({ pair, score: scores[id]! })));
  });
  merges.sort((a, b) => b.score - a.score || b.pair[0].length - a.pair[0].length || b.pair[1].length - a.pair[1].length);
  const replace = { type: "Replace", pattern: { String: " " }, content: "▁" };
  return {
    normalizer: { type: "Sequence", normalizers: [{ type: "Prepend", prepend: "▁" }, replace] },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(ids),
      merges: merges.map(({ pair }) => pair),
    },
  };
}

const vocabularies: [name: string, load: () => Tokenizer][] = [
  ["ggml-vocab-gpt-2", () => Tokenizer.fromGpt2Files(JSON.parse(read("gpt2/vocab.json")), read("gpt2/merges.txt"))],
  [
    "ggml-vocab-llama-spm",
    () => {
      const metadata = ggufMetadata(readFileSync(new URL("llama.cpp/ggml-vocab-llama-spm.gguf", shared)));
      const [tokens, scores] = ["tokens", "scores"].map((key) => metadata.get(`tokenizer.ggml.${key}`));
      return Tokenizer.fromJSON(sentencePieceJson(tokens as string[], scores as number[]));
    },
  ],
];

for (const [name, load] of vocabularies) {
  const present = existsSync(new URL(`llama.cpp/${name}.gguf.inp`, shared));
  describe.skipIf(!present)(`${name}${present ? "" : " (skipped: ../shared/data/tokenizers/llama.cpp is not on this machine)"}`, () => {
    test("ids, and the texts again", () => {
      const tokenizer = load();
      const cases = pairs(name);
      expect(cases.length).toBeGreaterThan(40);
      for (const [text, ids] of cases) {
        expect([...tokenizer.encode(text, { addSpecialTokens: false })], JSON.stringify(text)).toEqual(ids);
        expect(tokenizer.decode(ids)).toBe(text);
      }
    });
  });
}

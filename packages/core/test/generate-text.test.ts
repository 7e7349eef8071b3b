/** Text of completions: whole characters in streams, and stop strings. */
import type { Device } from "@trimtab/kernels";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { beforeAll, describe, expect, it } from "vitest";
import { CompletionText } from "../src/generate/completion-text";
import { generate, generateStream } from "../src/generate/generate";
import type { Completion, GenerateOptions, TextCodec } from "../src/generate/options";
import { Tokenizer } from "../src/tokenizer";
import { llamaConfig, randomDecoder } from "./generate-model";

/** A codec whose tokens are the given pieces. */
const pieces = (...texts: string[]): TextCodec => ({
  vocabSize: texts.length,
  encode: () => new Uint32Array(0),
  decodeStream: () => ({ push: (token) => texts[token] as string, flush: () => "" }),
});

describe("CompletionText", () => {
  it("cuts before the earliest stop string and says which token completed it", () => {
    const text = new CompletionText(pieces("a", "b", "cd", "e"), ["bcd", "dx", "cde"]);
    expect([text.push(0), text.push(1), text.push(2)]).toEqual([false, false, true]);
    text.finish();
    expect([text.text, text.take(), text.take()]).toEqual(["a", "a", ""]);
  });

  it("takes the stop string that begins first when a token completes two", () => {
    const text = new CompletionText(pieces("xy", "zw!"), ["zw", "yz"]);
    text.push(0);
    expect(text.push(1)).toBe(true);
    expect(text.text).toBe("x");
  });

  it("holds back what may begin a stop string until that is decided", () => {
    const text = new CompletionText(pieces("one\n", "\n", "two", "\n#"), ["\n\n\n", "\n##"]);
    const shown = [0, 1, 2, 3].map((token) => {
      text.push(token);
      return text.take();
    });
    expect(shown).toEqual(["one", "", "\n\ntwo", ""]);
    text.finish();
    expect(text.take()).toBe("\n#");
  });

  it("finds a stop string that begins in the middle of a false start", () => {
    const text = new CompletionText(pieces("a"), ["aab"]);
    for (let i = 0; i < 4; i++) text.push(0);
    expect(text.take()).toBe("aa");
  });

  it("gives tokens beyond the tokenizer no text", () => {
    const text = new CompletionText(pieces("a"), []);
    text.push(5);
    text.push(0);
    expect(text.take()).toBe("a");
  });

  it("stays empty without a tokenizer", () => {
    const text = new CompletionText(undefined, []);
    expect(text.push(1)).toBe(false);
    text.finish();
    expect(text.take()).toBe("");
  });
});

describe("text of generated completions (reference)", () => {
  let device: Device;
  let base: GenerateOptions;
  let tokenizer: Tokenizer;

  beforeAll(() => {
    device = createReferenceDevice();
    tokenizer = Tokenizer.train(["the theme of the thesis, naïve café 😀"], { vocabSize: 262, specialTokens: ["<|endoftext|>", "<|x|>"] });
    const decoder = randomDecoder(device, { ...llamaConfig, vocabSize: 264, initializerRange: 0.3, eosTokenIds: [0] });
    base = { model: { decoder, tokenizer }, prompts: ["the theme", "café"], n: 3, maxNewTokens: 40, temperature: 1, seed: 1 };
  });

  it("is what the tokenizer makes of the tokens, without special tokens", async () => {
    for (const { tokens, text, promptTokens, promptIndex } of await generate(base)) {
      expect(text).toBe(
        tokenizer.decode(
          tokens.filter((token) => token < tokenizer.vocabSize),
          { skipSpecialTokens: true },
        ),
      );
      expect([...promptTokens]).toEqual([...tokenizer.encode(base.prompts[promptIndex] as string)]);
    }
  });

  it("streams deltas that join to the completion, in whole characters", async () => {
    const whole = await generate(base);
    for (const stepsPerRead of [1, 3, 8]) {
      const joined = new Map<string, { tokens: number[]; logps: number[]; text: string; completion: Completion | undefined }>();
      for await (const delta of generateStream({ ...base, stepsPerRead })) {
        const key = `${delta.promptIndex}/${delta.sampleIndex}`;
        const sofar = joined.get(key) ?? { tokens: [], logps: [], text: "", completion: undefined };
        expect(sofar.completion).toBeUndefined();
        sofar.tokens.push(...delta.tokens);
        sofar.logps.push(...delta.logps);
        joined.set(key, { ...sofar, text: sofar.text + delta.text, completion: delta.completion });
      }
      for (const completion of whole) {
        const { text, tokens, logps } = completion;
        expect(joined.get(`${completion.promptIndex}/${completion.sampleIndex}`)).toEqual({
          text,
          tokens: [...tokens],
          logps: [...logps],
          completion,
        });
      }
    }
  });

  it("ends at a stop string: text before it, tokens up to the one that completes it", async () => {
    const free = await generate(base);
    let cut = 0;
    for (const [row, from, length] of [
      [0, 5, 2],
      [1, 9, 3],
      [2, 0, 1],
      [3, 12, 4],
      [4, 30, 1],
    ] as const) {
      const stop = (free[row] as Completion).text.slice(from, from + length);
      for (const stepsPerRead of [1, 8]) {
        const stopped = await generate({ ...base, stop: [stop, "never this"], stepsPerRead });
        for (const [i, completion] of stopped.entries()) {
          const whole = free[i] as Completion;
          const at = whole.text.indexOf(stop);
          if (at < 0) {
            expect(completion).toEqual(whole);
            continue;
          }
          cut += 1;
          const { tokens } = completion;
          const textOf = (ids: Uint32Array) =>
            tokenizer.decode(
              ids.filter((token) => token < tokenizer.vocabSize),
              { skipSpecialTokens: true },
            );
          expect(completion.finishReason).toBe("stop_string");
          expect(completion.text).toBe(whole.text.slice(0, at));
          expect([...tokens]).toEqual([...whole.tokens.slice(0, tokens.length)]);
          expect(textOf(tokens)).toContain(stop);
          expect(textOf(tokens.slice(0, -1)).replace(/\uFFFD+$/, "")).not.toContain(stop);
        }
      }
    }
    expect(cut).toBeGreaterThanOrEqual(10);
  });
});

/** How many dispatches a decoded token takes: in each block, and in all. */
import type { Device } from "@trimtab/kernels";
import { expect, it } from "vitest";
import { generate } from "../src/generate/generate";
import type { DecoderConfig } from "../src/models/config";
import type { Decoder } from "../src/models/decoder";
import { newLora } from "../src/models/lora";
import { describeDevices } from "./devices";
import { gpt2Config, llamaConfig, prompt, randomDecoder } from "./generate-model";

const llama: DecoderConfig = { ...llamaConfig, headNorm: "none" };

/** Of one token of each of `rows` rows; disposes of the decoder. */
async function dispatches(decoder: Decoder, rows: number): Promise<number> {
  const { device } = decoder;
  const run = async (maxNewTokens: number) => {
    const before = device.counters.dispatches;
    const prompts = Array.from({ length: rows }, (_, r) => prompt(3, r));
    await generate({ model: { decoder }, prompts, maxNewTokens, eosTokenIds: [] });
    return device.counters.dispatches - before;
  };
  const difference = -(await run(3)) + (await run(4));
  decoder.dispose();
  return difference;
}

describeDevices("a decoded token of a Llama", (device) => {
  it.each([1, 8, 12])("takes five dispatches in a block and four beside: %i rows", async (rows) => {
    const [two, four] = [
      await dispatches(randomDecoder(device, llama), rows),
      await dispatches(randomDecoder(device, { ...llama, layers: 4 }), rows),
    ];
    // Norm and query, key and value product; attention; output product; norm, gate and up product; down product.
    expect(four - two).toBe(2 * 5);
    // Embedding, norm, head, sample.
    expect(two).toBe(4 + 2 * 5);
  });
});

describeDevices(
  "a decoded token of what does not fit",
  (device: Device) => {
    it.each([
      // Norms of heads come between product and rotation.
      ["norms of heads", { ...llama, headNorm: "head" }, 6],
      ["no rotation", { ...llama, ropeLayers: [false, false] }, 5],
      // Norm and sum behind both halves.
      ["norms before and behind", { ...llama, blockNorms: "both" }, 9],
      // No norm before, so that the gate is by itself.
      ["norms behind", { ...llama, blockNorms: "after" }, 10],
      // Layer norms are not fused, and learned positions are looked up and added.
      ["GPT-2", gpt2Config, 8],
    ] as const)("takes more: %s", async (name, config, perBlock) => {
      const beside = name === "GPT-2" ? 6 : 4;
      expect(await dispatches(randomDecoder(device, config), 2)).toBe(beside + 2 * perBlock);
    });

    it("takes an adapter's own", async () => {
      const base = randomDecoder(device, llama);
      const adapted = base.withAdapter(newLora(base, { targetModules: ["down_proj"], r: 2 }));
      // Products with A and B, and the scale between them.
      expect(await dispatches(adapted, 2)).toBe(4 + 2 * (5 + 3));
      base.dispose();
    });
  },
  ["reference"],
);

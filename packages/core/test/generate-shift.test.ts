/** Shifted logits: a shift that turns one head into another generates as that head does, on the model's own hidden states or another model's. */
import { expect, it } from "vitest";
import { generate } from "../src/generate/generate";
import type { GenerateOptions, GenerationModel } from "../src/generate/options";
import { Decoder } from "../src/models/decoder";
import { logits } from "../src/nn/head";
import { linear } from "../src/nn/linear";
import { upload } from "../src/tensor/tensor";
import type { TablePart } from "../src/tensor/token-table";
import { describeDevices } from "./devices";
import { gpt2Config, llamaConfig, prompt, randomDecoder } from "./generate-model";

describeDevices("a logit shift", (device) => {
  const decoder = randomDecoder(device);
  /** Prompts that fill blocks and half fill them, several samples of each, and more tokens than one readback brings. */
  const request: Omit<GenerateOptions, "model"> = {
    prompts: [prompt(5), prompt(9, 1)],
    n: 3,
    maxNewTokens: 12,
    blockSize: 4,
    seed: 6,
    eosTokenIds: [],
  };
  const run = async (model: GenerationModel) =>
    (await generate({ ...request, model })).map(({ tokens, logps }) => ({
      tokens: [...tokens],
      logps: [...logps].map((logp) => logp.toFixed(4)),
    }));

  it("adds to the logits: head and difference are the other head", async () => {
    const other = new Decoder(device, decoder.config);
    other.parameters.initialise(3);
    const headOf = ({ head }: Decoder) => (head.parts[0] as TablePart).value;
    const base = (await device.read(headOf(decoder))) as Float32Array;
    const wanted = base.map((w, i) => w + Math.sin(i));
    device.write(headOf(other), wanted);
    const difference = upload(
      device,
      wanted.map((w, i) => w - (base[i] as number)),
      headOf(decoder).shape,
    );
    const shifted = await run({ decoder, logitShift: { shift: (tape, hidden) => linear(tape, hidden, { value: difference }) } });
    expect(shifted).toEqual(await run({ decoder: other }));
    expect(shifted).not.toEqual(await run({ decoder }));
    device.free(difference.buffer);
    other.dispose();
  });

  it("reads another model's hidden states, with a cache of their own: no logits and the other's are the other's", async () => {
    const silent = new Decoder(device, decoder.config);
    silent.parameters.initialise(3);
    device.write((silent.head.parts[0] as TablePart).value, new Float32Array(llamaConfig.vocabSize * llamaConfig.hiddenSize));
    const guide = randomDecoder(device, { ...gpt2Config, hiddenSize: 24, headDim: 6, layers: 3 });
    const live = device.counters.liveBytes;
    const shifted = await run({
      decoder: silent,
      logitShift: { decoder: guide, shift: (tape, hidden) => logits(tape, hidden, guide.head) },
    });
    expect(device.counters.liveBytes).toBe(live);
    expect(shifted).toEqual(await run({ decoder: guide }));
    guide.dispose();
    silent.dispose();
  });

  it("of a model with another vocabulary is refused", async () => {
    const guide = randomDecoder(device, { ...llamaConfig, vocabSize: 60 });
    const model = { decoder, logitShift: { decoder: guide, shift: () => (guide.head.parts[0] as TablePart).value } };
    await expect(generate({ ...request, model })).rejects.toThrow(/logitShift.decoder.*70 tokens.*60 tokens/);
    guide.dispose();
  });
});

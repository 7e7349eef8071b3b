/** Token values through a directory and back: the heads keep their bits, with and without a trunk of their own. */
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import { loadTokenValues, saveTokenValues } from "../src/checkpoint/token-values";
import { generate } from "../src/generate/generate";
import { newLanguageModel } from "../src/models/language-model";
import { guidedModel, newTokenValues } from "../src/models/token-values";
import { MemoryDirectory } from "./fixture-files";
import { byteTokenizer } from "./trainer-model";

describe.each(["shared", "separate"] as const)("%s trunk", (trunk) => {
  const device = createReferenceDevice();
  const model = newLanguageModel(device, { hiddenSize: 16, layers: 1, heads: 4, maxPositions: 64 }, byteTokenizer, 5);
  const values = newTokenValues(model, { trunk, width: 5, seed: 4 });
  // Outputs start at 0; anything will do.
  for (const set of [values.q, values.target, values.v]) set.initialise(9);
  for (const set of [values.q, values.target, values.v]) {
    for (const { name, value } of set.all) {
      if (name.endsWith("out"))
        device.write(
          value,
          Float32Array.from({ length: value.shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(3 * i)),
        );
    }
  }

  test("comes back, and guides as before", async () => {
    const directory = new MemoryDirectory([]);
    await saveTokenValues(values, directory);
    const again = await loadTokenValues(device, directory);
    expect(again.shape).toEqual(values.shape);
    expect(again.decoder === undefined).toBe(trunk === "shared");
    const request = { prompts: [Uint32Array.of(3, 4)], n: 4, maxNewTokens: 5, seed: 2, eosTokenIds: [] };
    const [before, after, plain] = [
      await generate({ ...request, model: guidedModel(model, values, 2) }),
      await generate({ ...request, model: guidedModel(model, again, 2) }),
      await generate({ ...request, model }),
    ];
    expect(after.map(({ tokens }) => tokens)).toEqual(before.map(({ tokens }) => tokens));
    after.forEach(({ logps }, i) => {
      logps.forEach((logp, t) => {
        expect(logp).toBeCloseTo(before[i]?.logps[t] as number, 5);
      });
    });
    expect(after.map(({ logps }) => logps)).not.toEqual(plain.map(({ logps }) => logps));
    again.dispose();
  });

  test("a directory that lacks a file or holds other shapes is refused by name", async () => {
    const directory = new MemoryDirectory([]);
    await expect(loadTokenValues(device, directory)).rejects.toThrow(/token_values.json/);
    await saveTokenValues(values, directory);
    const json = { format: 1, trunk, ...values.shape, width: 6 };
    await directory.write(new Map([["token_values.json", JSON.stringify(json)]]));
    const live = device.counters.liveBytes;
    await expect(loadTokenValues(device, directory)).rejects.toThrow(/q\.q1\.up/);
    expect(device.counters.liveBytes).toBe(live);
    await directory.write(new Map([["token_values.json", JSON.stringify({ ...json, format: 2 })]]));
    await expect(loadTokenValues(device, directory)).rejects.toThrow(/format 1, got format 2/);
  });
});

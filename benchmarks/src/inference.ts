/** The forward pass of the GPT shapes with every token's loss, beside onnxruntime-web, which infers and does not train. */

import { fileURLToPath } from "node:url";
import { batchLogprobs, collate, Decoder, type Device, Tape } from "@trimtab/core";
import { type ChildContestant, startChild } from "./child";
import type { Section, SectionTiming } from "./measure/section";
import { type GptShape, gptConfig, gptShapes, nameOf } from "./measure/shapes";
import { type Contestant, race } from "./measure/timing";
import { tokenAt } from "./measure/training-step";
import { peersInstalled } from "./peers";

const ORT = fileURLToPath(new URL("../peers/gpt-ort.mjs", import.meta.url));

export async function benchmarkInference(device: Device, options: { readonly peers: boolean; readonly quick: boolean }): Promise<Section> {
  const rows: (string | number | null)[][] = [];
  const timings: SectionTiming[] = [];
  const notes: string[] = [];
  for (const shape of options.quick ? gptShapes.slice(0, 1) : gptShapes) {
    const own = makeForward(device, shape);
    const peer =
      options.peers && peersInstalled()
        ? await startChild("onnxruntime-web", process.execPath, [ORT, String(device.info.threads), JSON.stringify(shape)])
        : undefined;
    if (typeof peer === "string") notes.push(`onnxruntime-web, ${nameOf(shape)}: ${peer}`);
    const isThere = (contestant: ChildContestant | string | undefined): contestant is ChildContestant => typeof contestant === "object";
    const contestants: Contestant[] = [{ name: "trimtab", run: own.run }, ...(isThere(peer) ? [peer] : [])];
    const [mine, theirs] = await race(contestants, { minRounds: 5, maxRounds: 40, budgetMs: 2000 });
    own.dispose();
    if (isThere(peer)) peer.close();
    timings.push({ of: nameOf(shape), timings: theirs ? [mine!, theirs] : [mine!] });
    rows.push([nameOf(shape), mine!.bestMs, theirs?.bestMs ?? null, theirs ? theirs.bestMs / mine!.bestMs : null]);
  }
  return {
    title: `GPT forward pass on ${device.info.name}, best ms`,
    columns: ["shape", "trimtab ms", "onnxruntime-web ms", "ratio"],
    rows,
    timings,
    notes: [
      ...notes,
      `onnxruntime-web: wasm in a process of its own, ${device.info.threads} threads, whole logits; ours: log-probabilities of all targets`,
    ],
  };
}

function makeForward(device: Device, shape: GptShape): { readonly run: () => Promise<unknown>; readonly dispose: () => void } {
  const config = gptConfig(shape);
  const decoder = new Decoder(device, { ...config, maxPositions: shape.T + 1 });
  decoder.parameters.initialise(1);
  const tokens = Uint32Array.from({ length: shape.T + 1 }, (_, t) => tokenAt(t, shape.V));
  const batch = collate(
    Array.from({ length: shape.B }, () => ({ tokens, mask: new Uint8Array(shape.T + 1).fill(1) })),
    shape.V,
  );
  return {
    async run() {
      const tape = new Tape(device, { grad: false });
      const { logp } = batchLogprobs(tape, decoder, batch);
      const values = await device.read(logp);
      tape.dispose();
      return values;
    },
    dispose: () => decoder.dispose(),
  };
}

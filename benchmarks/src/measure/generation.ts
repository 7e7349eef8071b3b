/** Generation at batch 32: tokens per second, and its share of what the measured matrix-product rate allows. */
import { Decoder, type Device, generate } from "@trimtab/core";
import { cases, measure } from "@trimtab/kernels/conformance";
import type { Section, SectionTiming, Target } from "./section";
import { type LlamaShape, llamaConfig, llamaShapesFor, type ShapeChoice } from "./shapes";
import { type Contestant, race } from "./timing";

const BATCH = 32;
const PROMPT = 16;
const NEW_TOKENS = 112;

/** Sampling `newTokens` tokens after each of `batch` prompts of `prompt` tokens, from random weights. */
export function makeGeneration(
  device: Device,
  shape: LlamaShape,
  { batch, prompt, newTokens }: { readonly batch: number; readonly prompt: number; readonly newTokens: number },
): { readonly run: () => Promise<unknown>; readonly tokens: number; readonly parameters: number; readonly dispose: () => void } {
  const decoder = new Decoder(device, llamaConfig(shape));
  decoder.parameters.initialise(1);
  const prompts = Array.from({ length: batch }, (_, row) => Uint32Array.from({ length: prompt }, (_, t) => (row * 31 + t * 17) % shape.V));
  return {
    run: () => generate({ model: { decoder }, prompts, maxNewTokens: newTokens, temperature: 1, eosTokenIds: [], seed: 1 }),
    tokens: batch * newTokens,
    parameters: decoder.parameters.count,
    dispose: () => decoder.dispose(),
  };
}

/** Another library doing the same, or why it cannot. */
export type Rival = (shape: LlamaShape, batch: number, newTokens: number) => Promise<(Contestant & { close(): void }) | string>;

export async function benchmarkGeneration(device: Device, options: ShapeChoice, rival?: Rival): Promise<Section> {
  const rows: (string | number | null)[][] = [];
  const groups: SectionTiming[] = [];
  const targets: Target[] = [];
  const notes: string[] = [];
  for (const shape of llamaShapesFor(device, options)) {
    const { run, tokens, dispose } = makeGeneration(device, shape, { batch: BATCH, prompt: PROMPT, newTokens: NEW_TOKENS });
    const other = await rival?.(shape, BATCH, NEW_TOKENS);
    if (typeof other === "string") notes.push(`${shape.name}: ${other}`);
    const contestants: Contestant[] = [{ name: "trimtab", run }, ...(typeof other === "object" ? [other] : [])];
    const timings = await race(contestants, { minRounds: 3, maxRounds: 10, budgetMs: 4000 });
    dispose();
    if (typeof other === "object") other.close();
    groups.push({ of: shape.name, timings });
    const [ms, theirs] = [timings[0]?.bestMs as number, timings[1]?.bestMs ?? null];
    const tokensPerSecond = (tokens * 1000) / ms;
    const allowed = await matmulBound(device, shape);
    rows.push([
      shape.name,
      tokensPerSecond,
      allowed,
      (100 * tokensPerSecond) / allowed,
      theirs && (tokens * 1000) / theirs,
      theirs && theirs / ms,
    ]);
    if (rival && device.info.kind === "wasm")
      targets.push({
        what: `generation at batch ${BATCH}, ${shape.name}, against PyTorch`,
        target: 1.5,
        measured: theirs && theirs / ms,
        unit: "x",
      });
  }
  return {
    title: `Generation, batch ${BATCH}, ${PROMPT} + ${NEW_TOKENS} tokens, on ${device.info.name}`,
    columns: ["shape", "tokens/s", "matrix products alone", "%", "PyTorch tokens/s", "ratio"],
    rows,
    targets,
    timings: groups,
    notes: [
      ...notes,
      ...(device.info.kind === "wasm"
        ? ["PyTorch 2.14 (AVX-512, two threads) on the reference machine: tiny 5,066 and small 1,328 tokens/s"]
        : []),
    ],
  };
}

/** Tokens per second if a decoding step did nothing but its matrix products, at the rate each is measured at with 32 rows. */
async function matmulBound(device: Device, { layers, C, heads, kvHeads, F, V }: LlamaShape): Promise<number> {
  const forward = cases.find((c) => c.entry.name === "matmul_forward");
  if (!forward) throw new Error("the conformance suite has no case for matmul_forward");
  const D = C / heads;
  const ms = async (N: number, K: number) =>
    (await measure(device, forward, { M: BATCH, N, K }, { now: () => performance.now(), absent: ["bias", "addend"] })).bestMs;
  const layer = (await ms((heads + 2 * kvHeads) * D, C)) + (await ms(C, heads * D)) + (await ms(2 * F, C)) + (await ms(C, F));
  return (BATCH * 1000) / (layers * layer + (await ms(V, C)));
}

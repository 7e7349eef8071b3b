/** How likely a model finds given text, and from that the KL between two policies. */
import { batchLogprobs, type Completion, collate, type Decoder, Tape } from "@trimtab/node";

const ROWS_PER_PASS = 32;

/** Log-probabilities of all tokens but the first of each sequence. */
export async function logProbabilities(decoder: Decoder, sequences: readonly Uint32Array[], temperature: number): Promise<Float32Array[]> {
  const scores: Float32Array[] = [];
  for (let at = 0; at < sequences.length; at += ROWS_PER_PASS) {
    const rows = sequences.slice(at, at + ROWS_PER_PASS);
    const batch = collate(
      rows.map((tokens) => ({ tokens, mask: new Uint8Array(tokens.length).fill(1) })),
      decoder.config.vocabSize,
    );
    const tape = new Tape(decoder.device, { grad: false });
    const logps = (await decoder.device.read(batchLogprobs(tape, decoder, batch, temperature).logp)) as Float32Array;
    tape.dispose();
    rows.forEach((_, i) => {
      scores.push(logps.slice(batch.targetOffsets[i], batch.targetOffsets[i + 1]));
    });
  }
  return scores;
}

/** KL(policy || reference) in nats per token, estimated on the policy's own completions: mean of log p - log q. */
export async function klFrom(
  reference: Decoder,
  policy: Decoder,
  completions: readonly Completion[],
  temperature: number,
): Promise<number> {
  const sequences = completions.map((c) => Uint32Array.from([...c.promptTokens, ...c.tokens]));
  const [p, q] = [await logProbabilities(policy, sequences, temperature), await logProbabilities(reference, sequences, temperature)];
  let sum = 0;
  let count = 0;
  completions.forEach(({ promptTokens }, i) => {
    for (let t = promptTokens.length - 1; t < (p[i] as Float32Array).length; t++) {
      sum += (p[i]?.[t] as number) - (q[i]?.[t] as number);
      count++;
    }
  });
  return sum / count;
}

/** One training step of ours, as any trainer takes it: forward, token losses, backward, clip, AdamW, one readback. */
import { AdamW, allocate, batchLogprobs, collate, Decoder, type DecoderConfig, type Device, inPhase, Tape } from "@trimtab/core";
import { ops } from "@trimtab/kernels";

export interface TrainingStep {
  /** Resolves to the mean loss before the step. */
  readonly run: () => Promise<number>;
  readonly parameters: number;
  readonly tokens: number;
  readonly dispose: () => void;
}

/** Number i of the tokens that every contestant trains on. */
export const tokenAt = (i: number, vocabSize: number): number => (i * 7919) % vocabSize;

/** `rows` sequences of `length` + 1 tokens, of which `length` are targets. */
export function makeTrainingStep(device: Device, config: DecoderConfig, rows: number, length: number): TrainingStep {
  const decoder = new Decoder(device, { ...config, maxPositions: Math.max(config.maxPositions, length + 1) });
  decoder.parameters.initialise(1);
  const optimizer = new AdamW(decoder.parameters, { betas: [0.9, 0.95], weightDecay: 0.1 });
  const sequences = Array.from({ length: rows }, (_, row) => ({
    tokens: Uint32Array.from({ length: length + 1 }, (_, t) => tokenAt(row * length + t, config.vocabSize)),
    mask: new Uint8Array(length + 1).fill(1),
  }));
  const batch = collate(sequences, config.vocabSize);
  const count = batch.targets.length;
  const total = allocate(device, [1]);
  const run = async () => {
    decoder.parameters.zeroGrads();
    const tape = new Tape(device);
    const { logp } = inPhase(device, "forward", () => batchLogprobs(tape, decoder, batch));
    const dlogp = tape.constant(new Float32Array(count).fill(-1 / count));
    device.dispatch(ops.segment.sum, { tensors: { x: logp, offsets: tape.constant(Uint32Array.of(0, count)), y: total } });
    inPhase(device, "backward", () => tape.backward([[logp, dlogp]]));
    tape.dispose();
    inPhase(device, "optimiser", () => optimizer.apply(1e-3));
    const [stats, sum] = await Promise.all([device.read(optimizer.stats), device.read(total)]);
    optimizer.outcome(stats as Float32Array);
    return -(sum[0] as number) / count;
  };
  const dispose = () => {
    optimizer.dispose();
    device.free(total.buffer);
    decoder.dispose();
  };
  return { run, parameters: decoder.parameters.count, tokens: count, dispose };
}

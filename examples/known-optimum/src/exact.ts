/** Exact figures of a policy, by enumerating every completion: its value, the optimum, and its KL to another policy. */
import { collate, type GenerationModel, gatherRows, rowIndex, Tape, tokenLogprob } from "@trimtab/node";
import { type Context, isLetter, payOf, tokenizer } from "./task";

const PREFIXES_PER_PASS = 2048;

/** log π(token | prompt, prefix) of every token, for every prefix of a completion that can be gone on with. */
export type Policy = (context: Context, prefix: readonly number[]) => Float32Array;

/** Enumerates the policy on these contexts up to `length` tokens. */
export async function enumerate(model: GenerationModel, contexts: readonly Context[], length: number): Promise<Policy> {
  const { vocabSize, eosTokenIds } = model.decoder.config;
  const all = Array.from({ length: vocabSize }, (_, token) => token);
  let prefixes: number[][] = [[]];
  const inner: number[][] = [[]];
  for (let place = 1; place < length; place++) {
    prefixes = prefixes.flatMap((prefix) => all.filter((token) => !eosTokenIds.includes(token)).map((token) => [...prefix, token]));
    inner.push(...prefixes);
  }
  const rows = contexts.flatMap(({ prompt }) => inner.map((prefix) => ({ key: prompt + prefix.join(), prompt, prefix })));
  const logps = new Map<string, Float32Array>();
  for (let at = 0; at < rows.length; at += PREFIXES_PER_PASS) {
    const taken = rows.slice(at, at + PREFIXES_PER_PASS);
    const values = await nextTokenLogps(
      model,
      taken.map(({ prompt, prefix }) => Uint32Array.from([...tokenizer.encode(prompt), ...prefix])),
    );
    taken.forEach(({ key }, i) => {
      logps.set(key, values.subarray(i * vocabSize, (i + 1) * vocabSize));
    });
  }
  return ({ prompt }, prefix) => logps.get(prompt + prefix.join()) as Float32Array;
}

/** log π of every token after each sequence, one after another. (sequences × vocabulary) */
async function nextTokenLogps({ decoder, logitShift }: GenerationModel, sequences: readonly Uint32Array[]): Promise<Float32Array> {
  const { device, config } = decoder;
  const batch = collate(
    sequences.map((tokens) => ({ tokens, mask: new Uint8Array(tokens.length) })),
    config.vocabSize,
  );
  const last = batch.offsets.slice(1).map((end) => end - 1);
  const each = Uint32Array.from({ length: last.length * config.vocabSize }, (_, i) => Math.floor(i / config.vocabSize));
  const tape = new Tape(device, { grad: false });
  try {
    const hidden = gatherRows(tape, decoder.forward(tape, batch), rowIndex(tape, last));
    const tokens = tape.constant(each.map((_, i) => i % config.vocabSize));
    const { logp } = tokenLogprob(tape, gatherRows(tape, hidden, rowIndex(tape, each)), decoder.head, tokens);
    const logps = (await device.read(logp)) as Float32Array;
    if (!logitShift) return logps;
    const shifts = (await device.read(logitShift.shift(tape, hidden))) as Float32Array;
    return normalized(
      logps.map((value, i) => value + (shifts[i] as number)),
      config.vocabSize,
    );
  } finally {
    tape.dispose();
  }
}

/** Rows of logits as log-probabilities. */
function normalized(logits: Float32Array, width: number): Float32Array {
  for (let at = 0; at < logits.length; at += width) {
    const row = logits.subarray(at, at + width);
    const top = Math.max(...row);
    const z = top + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - top), 0));
    row.forEach((logit, i) => {
      row[i] = logit - z;
    });
  }
  return logits;
}

/** Sums over the tree of completions of a context, from its leaves up. */
function fold(
  context: Context,
  { length, isEnd }: Shape,
  combine: (prefix: readonly number[], after: (token: number) => number) => number,
): number {
  const value = (prefix: readonly number[]): number =>
    combine(prefix, (token) => {
      const pay = payOf(context.mood, token) / length;
      return pay + (isEnd(token) || prefix.length + 1 === length ? 0 : value([...prefix, token]));
    });
  return value([]);
}

export interface Shape {
  /** Most tokens of a completion. */
  readonly length: number;
  readonly isEnd: (token: number) => boolean;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** J(π) = E[reward] - β KL(π ‖ π_ref), the mean over contexts. */
export function policyValue(policy: Policy, reference: Policy, beta: number, contexts: readonly Context[], shape: Shape): number {
  return mean(
    contexts.map((context) =>
      fold(context, shape, (prefix, after) => {
        const refs = reference(context, prefix);
        return policy(context, prefix).reduce((sum, logp, token) => {
          const price = beta === 0 ? 0 : beta * (logp - (refs[token] as number));
          return sum + Math.exp(logp) * (after(token) - price);
        }, 0);
      }),
    ),
  );
}

/** max J: β log Σ π_ref(y) exp(r(y) / β), or the largest reward where β is 0. */
export function optimumOf(reference: Policy, beta: number, contexts: readonly Context[], shape: Shape): number {
  return mean(
    contexts.map((context) =>
      fold(context, shape, (prefix, after) => {
        const refs = [...reference(context, prefix)];
        if (beta === 0) return Math.max(...refs.map((_, token) => after(token)));
        return beta * Math.log(refs.reduce((sum, logp, token) => sum + Math.exp(logp + after(token) / beta), 0));
      }),
    ),
  );
}

/** KL(p ‖ q) of the first token in nats, the mean over contexts. */
export function klOf(p: Policy, q: Policy, contexts: readonly Context[]): number {
  return mean(
    contexts.map((context) => {
      const under = q(context, []);
      return p(context, []).reduce((sum, logp, token) => {
        // What p never does adds nothing, even where q does not either.
        return logp === Number.NEGATIVE_INFINITY ? sum : sum + Math.exp(logp) * (logp - (under[token] as number));
      }, 0);
    }),
  );
}

/** π_ref exp(r / β) / Z over completions of one token: the policy that is best under the KL penalty. */
export function tilted(reference: Policy, beta: number): Policy {
  return (context, prefix) => {
    const scores = reference(context, prefix).map((logp, token) => logp + payOf(context.mood, token) / beta);
    return normalized(scores, scores.length);
  };
}

/** The policy given that its first token is one of the letters that pay: all that comparisons of letters can tell. */
export function amongLetters(policy: Policy): Policy {
  return (context, prefix) => {
    const logps = policy(context, prefix).map((logp, token) => (isLetter(token) ? logp : Number.NEGATIVE_INFINITY));
    return normalized(logps, logps.length);
  };
}

/** The baseline: logistic regression on which words the chosen reply has more of. */

/** Words of a text, lower case. */
const wordsOf = (text: string): string[] => text.toLowerCase().match(/[a-z']+|[?!.,]/g) ?? [];

export interface Comparison {
  readonly chosen: string;
  readonly rejected: string;
}

type Sparse = ReadonlyMap<number, number>;

/** log(1 + count) of each known word in `chosen` minus that in `rejected`. */
function differences({ chosen, rejected }: Comparison, vocabulary: ReadonlyMap<string, number>): Sparse {
  const counts = new Map<number, [number, number]>();
  [chosen, rejected].forEach((text, side) => {
    for (const word of wordsOf(text)) {
      const index = vocabulary.get(word);
      if (index === undefined) continue;
      const pair = counts.get(index) ?? [0, 0];
      pair[side] = (pair[side] as number) + 1;
      counts.set(index, pair as [number, number]);
    }
  });
  return new Map([...counts].map(([index, [a, b]]) => [index, Math.log1p(a) - Math.log1p(b)]));
}

/** Trains on some pairs and returns the share of others that it orders rightly. */
export function bagOfWordsAccuracy(training: readonly Comparison[], heldOut: readonly Comparison[]): number {
  const seen = new Map<string, number>();
  for (const { chosen, rejected } of training)
    for (const word of new Set([...wordsOf(chosen), ...wordsOf(rejected)])) seen.set(word, (seen.get(word) ?? 0) + 1);
  const vocabulary = new Map([...seen].filter(([, count]) => count >= 3).map(([word], i) => [word, i]));
  const rows = training.map((pair) => differences(pair, vocabulary));
  const weights = new Float64Array(vocabulary.size);
  const score = (row: Sparse) => [...row].reduce((sum, [index, value]) => sum + value * (weights[index] as number), 0);
  const [rounds, rate, decay] = [60, 0.5, 1e-3];
  for (let round = 0; round < rounds; round++) {
    const gradient = new Float64Array(weights.length);
    for (const row of rows) {
      const slope = 1 / (1 + Math.exp(score(row))) / rows.length;
      for (const [index, value] of row) gradient[index] = (gradient[index] as number) + slope * value;
    }
    for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] as number) * (1 - decay) + 10 * rate * (gradient[i] as number);
  }
  return heldOut.filter((pair) => score(differences(pair, vocabulary)) > 0).length / heldOut.length;
}

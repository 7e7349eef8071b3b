/** A ranking while it is being made: groups of completions, the best first; those of one group are tied. */

/** Indices of completions, each in one group; no group is empty. */
export type RankingOrder = readonly (readonly number[])[];

/** The rank of each completion: 1 + the number of better ones. (K) */
export function ranksOf(order: RankingOrder): number[] {
  const ranks: number[] = [];
  let better = 0;
  for (const group of order) {
    for (const completion of group) ranks[completion] = better + 1;
    better += group.length;
  }
  return ranks;
}

/** The order in which ranks put completions; `shown` says in which order tied ones stand. */
export function orderOf(ranks: readonly number[], shown: readonly number[]): RankingOrder {
  const groups = new Map<number, number[]>();
  for (const completion of shown) {
    const rank = ranks[completion] as number;
    groups.set(rank, [...(groups.get(rank) ?? []), completion]);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** One place up (-1) or down (1): out of a tie, or past the group next to it. */
export function move(order: RankingOrder, completion: number, by: -1 | 1): RankingOrder {
  const { at, group, rest } = find(order, completion);
  const [before, after] = [order.slice(0, at), order.slice(at + 1)];
  if (rest.length > 0) return by < 0 ? [...before, [completion], rest, ...after] : [...before, rest, [completion], ...after];
  const next = order[at + by];
  if (!next) return order;
  return by < 0 ? [...before.slice(0, -1), group, next, ...after] : [...before, next, group, ...after.slice(1)];
}

/** Joins the completion, and what is tied with it and stands below, to what stands above; or takes them apart where they are tied. */
export function toggleTie(order: RankingOrder, completion: number): RankingOrder {
  const { at, group } = find(order, completion);
  const place = group.indexOf(completion);
  if (place > 0) return [...order.slice(0, at), group.slice(0, place), group.slice(place), ...order.slice(at + 1)];
  const above = order[at - 1];
  return above ? [...order.slice(0, at - 1), [...above, ...group], ...order.slice(at + 1)] : order;
}

/** Puts the completion at a place of the list without it, from 0: between two that are tied it becomes tied as well. */
export function drop(order: RankingOrder, completion: number, place: number): RankingOrder {
  const others = order.map((group) => group.filter((other) => other !== completion)).filter((group) => group.length > 0);
  let start = 0;
  for (const [at, group] of others.entries()) {
    const inside = place - start;
    if (inside > 0 && inside < group.length) return others.with(at, [...group.slice(0, inside), completion, ...group.slice(inside)]);
    if (inside <= 0) return [...others.slice(0, at), [completion], ...others.slice(at)];
    start += group.length;
  }
  return [...others, [completion]];
}

function find(order: RankingOrder, completion: number) {
  const at = order.findIndex((group) => group.includes(completion));
  const group = order[at] as readonly number[];
  return { at, group, rest: group.filter((other) => other !== completion) };
}

/** Turns: one at a time, in order; whoever waits for another thread lets the others go first. */
import { expect, it } from "vitest";
import { Turns } from "../src/engine/turns";

/** A promise to be settled from outside. */
function later(): { readonly done: Promise<void>; settle(): void } {
  let settle = () => {};
  const done = new Promise<void>((resolve) => {
    settle = resolve;
  });
  return { done, settle: () => settle() };
}

/** Lets everything run that does not wait for a test's `later`. */
const quiet = () => new Promise((resolve) => setImmediate(resolve));

it("are taken in order, also after one that throws", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const first = later();
  const all = [
    turns.take(async () => {
      log.push("a");
      await first.done;
      log.push("a ends");
      throw new Error("a");
    }),
    turns.take(async () => log.push("b")),
    turns.take(async () => log.push("c")),
  ];
  await quiet();
  expect(log).toEqual(["a"]);
  first.settle();
  expect((await Promise.allSettled(all)).map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  expect(log).toEqual(["a", "a ends", "b", "c"]);
});

it("are given up outside, and taken again when the last one is back", async () => {
  const turns = new Turns();
  const log: string[] = [];
  const [one, two, other] = [later(), later(), later()];
  const step = turns.take(async (turn) => {
    await Promise.all([turn.outside(() => one.done), turn.outside(() => two.done)]);
    log.push("step goes on");
  });
  const asking = turns.take(async () => {
    log.push("other");
    await other.done;
    log.push("other ends");
  });
  await quiet();
  one.settle();
  await quiet();
  two.settle();
  await quiet();
  expect(log).toEqual(["other"]);
  other.settle();
  await Promise.all([step, asking]);
  expect(log).toEqual(["other", "other ends", "step goes on"]);
});

it("do not meet when one goes outside while another of its own comes back", async () => {
  const turns = new Turns();
  const [one, two, other] = [later(), later(), later()];
  let inside = 0;
  const alone = async (work: () => Promise<void>) => {
    expect(++inside).toBe(1);
    await work();
    inside--;
  };
  const step = turns.take(async (turn) => {
    const back = turn.outside(() => one.done);
    // Begins while `back` is waiting for its turn, and ends before it has got it.
    const again = quiet().then(() => turn.outside(() => two.done));
    await Promise.all([back, again]);
    await alone(quiet as () => Promise<void>);
  });
  const asking = turns.take(() => alone(() => other.done));
  one.settle();
  await quiet();
  await quiet();
  two.settle();
  await quiet();
  other.settle();
  await Promise.all([step, asking, turns.take(() => alone(quiet as () => Promise<void>))]);
});

it("do not wait for what is outside when they end", async () => {
  const turns = new Turns();
  const never = later();
  let back: Promise<void> | undefined;
  await turns.take(async (turn) => {
    back = turn.outside(() => never.done);
  });
  await turns.take(async () => {
    never.settle();
    await back;
  });
  await turns.take(async () => {});
});

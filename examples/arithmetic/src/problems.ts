/** Chain sums with their working, all different: what the model learns from, and what it is examined on. */
import { randomInt } from "@trimtab/node";

export interface Problem {
  /** `3+9-4+1:` */
  readonly prompt: string;
  /** The running totals, of which the last is the answer: `12;8;9` */
  readonly working: string;
  readonly answer: string;
}

const TERMS = 4;
const LARGEST = 9;

/** `count` different problems, of which the first are as good as any to hold out; the same seed gives the same ones. */
export function makeProblems(count: number, seed: number): Problem[] {
  const seen = new Set<string>();
  const problems: Problem[] = [];
  for (let draw = 0; problems.length < count; draw++) {
    const terms = Array.from({ length: TERMS }, (_, i) => 1 + randomInt(LARGEST, seed, draw, i));
    const signs = terms.map((_, i) => (i === 0 || randomInt(2, seed, draw, TERMS + i) === 0 ? 1 : -1));
    const question = terms.map((term, i) => (i === 0 ? `${term}` : `${signs[i] === 1 ? "+" : "-"}${term}`)).join("");
    if (seen.has(question)) continue;
    seen.add(question);
    const totals: number[] = [];
    terms.forEach((term, i) => {
      totals.push((totals.at(-1) ?? 0) + (signs[i] as number) * term);
    });
    problems.push({ prompt: `${question}:`, working: totals.slice(1).join(";"), answer: String(totals.at(-1)) });
  }
  return problems;
}

/** How often a pupil gives up at a running total, and what is then written. */
const GIVES_UP = 0.25;
const GIVEN_UP = "?";

/** The working as a pupil wrote it down: right as far as it goes, but given up at any total once in a while. */
export function pupilsWorking({ working }: Problem, seed: number, index: number): string {
  const totals = working.split(";");
  const end = totals.findIndex((_, i) => randomInt(1000, seed, PUPIL_STREAM + index, i) < 1000 * GIVES_UP);
  return end < 0 ? working : [...totals.slice(0, end), GIVEN_UP].join(";");
}

/** Random streams of the pupils, apart from those of the problems. */
const PUPIL_STREAM = 0x40000000;

/** What a completion answers: whatever follows its last semicolon. */
export function answerOf(completion: string): string {
  return completion.slice(completion.lastIndexOf(";") + 1).trim();
}

/** 1 for the right answer, whatever the working says; `answer` is a column of the dataset. */
export function correct({
  completions,
  answer,
}: {
  readonly completions: readonly unknown[];
  readonly [column: string]: unknown;
}): number[] {
  return completions.map((completion, i) => (answerOf(completion as string) === (answer as readonly string[])[i] ? 1 : 0));
}

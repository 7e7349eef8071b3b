/** One rater's way through a session's items: what comes next, answers, skips, undo and redo. */
import { DataError } from "@trimtab/core";
import { shuffle } from "@trimtab/kernels";
import { checkAnswer, type FeedbackAnswer, type FeedbackRecord } from "./answers";
import type { FeedbackItem } from "./items";

export interface FeedbackProgress {
  readonly answered: number;
  readonly skipped: number;
  readonly total: number;
}

/** What a rater did, in order; what was undone last is last in `undone`. */
export interface RaterLog {
  readonly name: string;
  readonly done: FeedbackRecord[];
  readonly undone: FeedbackRecord[];
}

/** Whether a record came or went. */
export interface RaterChange {
  readonly type: "answer" | "skip" | "undo" | "redo";
  readonly record: FeedbackRecord;
}

/** The parts of a session that a rater works on. */
export interface RaterContext {
  readonly seed: number;
  readonly items: readonly FeedbackItem[];
  /** Tells those who watch the session. */
  changed(change: RaterChange): void;
}

/** A person, a judge or a rule; `FeedbackSession.as(name)` gives one. */
export class FeedbackRater {
  readonly #context: RaterContext;
  readonly #log: RaterLog;
  /** The rater's number: the orders that different raters see differ. */
  readonly #number: number;

  constructor(context: RaterContext, log: RaterLog, number: number) {
    this.#context = context;
    this.#log = log;
    this.#number = number;
  }

  get name(): string {
    return this.#log.name;
  }

  /** The records in the order they were made. */
  get records(): readonly FeedbackRecord[] {
    return this.#log.done;
  }

  /** The first item that the rater neither answered nor skipped. */
  get current(): FeedbackItem | undefined {
    const seen = new Set(this.#log.done.map(({ item }) => item));
    return this.#context.items.find(({ id }) => !seen.has(id));
  }

  get progress(): FeedbackProgress {
    const skipped = this.#log.done.filter(({ answer }) => answer === null).length;
    return { answered: this.#log.done.length - skipped, skipped, total: this.#context.items.length };
  }

  get canUndo(): boolean {
    return this.#log.done.length > 0;
  }

  get canRedo(): boolean {
    return this.#log.undone.length > 0;
  }

  /**
   * The index of the completion to be shown at each place: a permutation by (seed, rater, item), so that who prefers the first place
   * prefers no completion. (K)
   */
  order({ id, completions }: FeedbackItem): readonly number[] {
    const place = this.#context.items.findIndex((item) => item.id === id);
    if (place < 0) throw new DataError(`feedback: the item must be one of the session, got ${JSON.stringify(id)}. Add it first.`);
    return [...shuffle(completions.length, [this.#context.seed, this.#number], place)];
  }

  /** Answers the current item or another. Throws DataError for an answer that does not fit, and for an item that has a record. */
  answer(answer: FeedbackAnswer, item = this.#requireCurrent()): FeedbackRecord {
    checkAnswer(item, answer);
    return this.#record("answer", item, answer);
  }

  /** Passes over the current item or another. */
  skip(item = this.#requireCurrent()): FeedbackRecord {
    return this.#record("skip", item, null);
  }

  /** Takes the last record back and returns it; undefined where there is none. */
  undo(): FeedbackRecord | undefined {
    return this.#move("undo", this.#log.done, this.#log.undone);
  }

  /** Puts back what was undone last. A new answer or skip forgets what was undone. */
  redo(): FeedbackRecord | undefined {
    return this.#move("redo", this.#log.undone, this.#log.done);
  }

  /** The answer to the item that was taken back and can be put back, for who wants to change it. */
  takenBack({ id }: FeedbackItem): FeedbackAnswer | undefined {
    return this.#log.undone.find(({ item }) => item === id)?.answer ?? undefined;
  }

  #requireCurrent(): FeedbackItem {
    const { current } = this;
    if (!current) throw new DataError(`feedback: ${this.name} must have an item left to answer, got none. Add items.`);
    return current;
  }

  #record(type: "answer" | "skip", item: FeedbackItem, answer: FeedbackAnswer | null): FeedbackRecord {
    const record = { item: item.id, rater: this.name, answer, order: this.order(item) };
    if (this.#log.done.some(({ item: id }) => id === item.id)) {
      throw new DataError(
        `feedback: an item must have one record of a rater, got a second of ${this.name} for ${item.id}. Undo the first.`,
      );
    }
    this.#log.done.push(record);
    this.#log.undone.length = 0;
    this.#context.changed({ type, record });
    return record;
  }

  #move(type: "undo" | "redo", from: FeedbackRecord[], to: FeedbackRecord[]): FeedbackRecord | undefined {
    const record = from.pop();
    if (!record) return undefined;
    to.push(record);
    this.#context.changed({ type, record });
    return record;
  }
}

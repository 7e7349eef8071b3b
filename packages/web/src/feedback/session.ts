/** A feedback session: items, what several raters said of them, and both as JSON and as rows of datasets. No DOM. */
import { ConfigError, DataError, type DatasetRow, type Dropped } from "@trimtab/core";
import { type ComparableKind, type FeedbackAgreement, feedbackAgreement, positionBias } from "./agreement";
import { checkAnswer, type Feedback, type FeedbackRecord } from "./answers";
import { checkItem, type FeedbackItem, type NewFeedbackItem } from "./items";
import { type FeedbackProgress, FeedbackRater, type RaterChange, type RaterLog } from "./rater";
import { type FeedbackFormat, type FeedbackRowsOptions, feedbackRows } from "./rows";
import { readFeedbackRows } from "./rows-read";

/** What happened to a session. */
export type FeedbackChange = RaterChange | { readonly type: "items"; readonly items: readonly FeedbackItem[] };

export interface FeedbackSessionOptions {
  /** Of the order in which completions are shown; a u32. Default 0. */
  readonly seed?: number | undefined;
  readonly items?: readonly NewFeedbackItem[] | undefined;
}

/** All of a session, as JSON. */
export interface FeedbackSessionState {
  readonly version: 1;
  readonly seed: number;
  readonly items: readonly FeedbackItem[];
  readonly raters: readonly {
    readonly name: string;
    readonly done: readonly FeedbackRecord[];
    readonly undone: readonly FeedbackRecord[];
  }[];
}

export interface FeedbackImport {
  /** Items that were not there before. */
  readonly items: readonly FeedbackItem[];
  readonly answers: number;
  readonly dropped: readonly Dropped[];
}

export class FeedbackSession {
  readonly seed: number;
  readonly #items: FeedbackItem[] = [];
  readonly #byId = new Map<string, FeedbackItem>();
  readonly #logs = new Map<string, RaterLog>();
  readonly #raters = new Map<string, FeedbackRater>();
  readonly #listeners = new Set<(change: FeedbackChange) => void>();

  /** Throws ConfigError for a bad seed and DataError for a bad item. */
  constructor({ seed = 0, items = [] }: FeedbackSessionOptions = {}) {
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
      throw new ConfigError(`FeedbackSession: seed must be a whole number from 0 to 2^32 - 1, got ${seed}. Correct it.`);
    }
    this.seed = seed;
    this.add(...items);
  }

  get items(): readonly FeedbackItem[] {
    return this.#items;
  }

  get raters(): readonly string[] {
    return [...this.#logs.keys()];
  }

  /** Every answer, by item and then by rater. */
  get feedback(): readonly Feedback[] {
    const answers = [...this.#logs.values()].map(({ done }) => new Map(done.map((record) => [record.item, record])));
    return this.#items.flatMap((item) =>
      answers.flatMap((records) => {
        const record = records.get(item.id);
        return record?.answer ? [{ item, answer: record.answer, rater: record.rater, order: record.order }] : [];
      }),
    );
  }

  /** Appends items and returns them with their ids. Throws DataError, before any is added, for an item that lacks something. */
  add(...items: readonly NewFeedbackItem[]): readonly FeedbackItem[] {
    const ids = new Set(this.#byId.keys());
    const added = items.map((item) => {
      checkItem(item);
      const id = item.id ?? freeId(ids);
      if (ids.has(id)) throw new DataError(`feedback item: id must be unique in the session, got ${JSON.stringify(id)} again. Change one.`);
      ids.add(id);
      return { ...item, id };
    });
    for (const item of added) this.#byId.set(item.id, item);
    this.#items.push(...added);
    if (added.length > 0) this.#tell({ type: "items", items: added });
    return added;
  }

  item(id: string): FeedbackItem | undefined {
    return this.#byId.get(id);
  }

  /** The session as one rater sees it: a person, a judge or a rule, by name. */
  as(name: string): FeedbackRater {
    return this.#raters.get(name) ?? this.#join({ name, done: [], undone: [] });
  }

  /** Items that the rater has been through, and all there are. */
  progress(rater: string): FeedbackProgress {
    return this.as(rater).progress;
  }

  /** How far raters agree on the items of a kind. */
  agreement(kind: ComparableKind): FeedbackAgreement {
    return feedbackAgreement(this.feedback, kind);
  }

  /** Share of the choices between two that fell on what was shown first, less 1/2. */
  positionBias(): number {
    return positionBias(this.feedback);
  }

  /** The answers as rows of a dataset; see `feedbackRows`. */
  rows(format: FeedbackFormat, options?: FeedbackRowsOptions): readonly DatasetRow[] {
    return feedbackRows(this.feedback, format, options);
  }

  /**
   * Adds rows of any format that is feedback (docs/feedback-data.md) as items with answers, and prompts as demonstrations to be written. Rows about
   * the same completions of a prompt become one item, so that their raters can be compared. `rater` is who answered where a row does not say (default
   * "imported"). Throws DataError with the line of a malformed row and ConfigError for rows of another format; nothing is added then.
   */
  import(rows: readonly DatasetRow[], { rater = "imported" }: { readonly rater?: string | undefined } = {}): FeedbackImport {
    const { items, answers, dropped } = readFeedbackRows(rows, rater);
    const added = this.add(...items);
    for (const { item, answer, order, rater: name } of answers) {
      const record = { item: (added[item] as FeedbackItem).id, rater: name, answer, order };
      this.as(name);
      (this.#logs.get(name) as RaterLog).done.push(record);
      this.#tell({ type: "answer", record });
    }
    return { items: added, answers: answers.length, dropped };
  }

  /** Calls `listener` after every change, until the returned function is called. */
  subscribe(listener: (change: FeedbackChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  toJSON(): FeedbackSessionState {
    return structuredClone({ version: 1, seed: this.seed, items: this.#items, raters: [...this.#logs.values()] });
  }

  /** The session that `toJSON` wrote, exactly. Throws DataError for anything else. */
  static fromJSON(state: FeedbackSessionState): FeedbackSession {
    if (state?.version !== 1) {
      throw new DataError(`feedback session: version must be 1, got ${JSON.stringify(state?.version)}. Give what toJSON() returned.`);
    }
    const { seed, items, raters } = structuredClone(state);
    const session = new FeedbackSession({ seed, items });
    for (const { name, done, undone } of raters) {
      for (const record of [...done, ...undone]) {
        const item = session.item(record.item);
        if (!item)
          throw new DataError(`feedback session: a record must be of one of the items, got ${JSON.stringify(record.item)}. Check it.`);
        if (record.answer) checkAnswer(item, record.answer);
      }
      session.#join({ name, done: [...done], undone: [...undone] });
    }
    return session;
  }

  #join(log: RaterLog): FeedbackRater {
    const context = { seed: this.seed, items: this.#items, changed: (change: RaterChange) => this.#tell(change) };
    const rater = new FeedbackRater(context, log, this.#logs.size);
    this.#logs.set(log.name, log);
    this.#raters.set(log.name, rater);
    return rater;
  }

  #tell(change: FeedbackChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}

/** The first number that is no id. */
function freeId(ids: ReadonlySet<string>): string {
  let number = ids.size + 1;
  while (ids.has(String(number))) number++;
  return String(number);
}

/** Rows of feedback datasets as items with answers: the way back from rows.ts, and the way in for data from elsewhere. */
import {
  ConfigError,
  type Conversion,
  canonicalJson,
  convertRows,
  DataError,
  type DatasetFormat,
  type DatasetRow,
  type Dropped,
  detectFormat,
  readCorrection,
  readExample,
  readPreference,
  readPrompt,
  readRanked,
  readRated,
  readUnpaired,
  type Turns,
} from "@trimtab/core";
import { type FeedbackAnswer, isStars } from "./answers";
import { type FeedbackCompletion, lastText, type NewFeedbackItem, withLastText, writtenTurns } from "./items";

/** An answer to the item of that index in the same result. */
export interface ReadAnswer {
  readonly item: number;
  readonly rater: string;
  readonly answer: FeedbackAnswer;
  readonly order: readonly number[] | undefined;
}

export interface ReadFeedback {
  readonly items: readonly NewFeedbackItem[];
  readonly answers: readonly ReadAnswer[];
  readonly dropped: readonly Dropped[];
}

/** What a row says. */
interface Said {
  readonly prompt: Turns;
  readonly contents: readonly Turns[];
  readonly answer: FeedbackAnswer;
  readonly columns: DatasetRow;
}

type NativeFormat = "preference" | "unpaired" | "ranked" | "rated" | "correction" | "sft";

/** Reads a row of a native format, or gives the reason why it cannot be an answer. */
const readers: Readonly<Record<NativeFormat, (row: DatasetRow, line: number) => Said | string>> = {
  preference(row, line) {
    const { prompt, chosen, rejected, margin, group, columns } = readPreference(row, line);
    const answer = { kind: "pair", choice: 0, ...(margin === undefined ? {} : { margin }) } as const;
    return { prompt, contents: [chosen, rejected], answer, columns: { ...columns, ...(group === undefined ? {} : { group }) } };
  },
  unpaired(row, line) {
    const { prompt, completion, label, columns } = readUnpaired(row, line);
    return { prompt, contents: [completion], answer: { kind: "thumbs", liked: label }, columns };
  },
  ranked(row, line) {
    const { prompt, completions, ranks, columns } = readRanked(row, line);
    return { prompt, contents: completions, answer: { kind: "ranking", ranks }, columns };
  },
  rated(row, line) {
    const { prompt, completion, rating, rater, columns } = readRated(row, line, { scale: [1, 5] });
    if (!isStars(rating)) {
      throw new DataError(`dataset line ${line}: \`rating\` must be a whole number from 1 to 5, got ${rating}. Correct the row.`, { line });
    }
    return {
      prompt,
      contents: [completion],
      answer: { kind: "stars", rating },
      columns: rater === undefined ? columns : { ...columns, rater },
    };
  },
  correction(row, line) {
    const { prompt, completion, edited, columns } = readCorrection(row, line);
    const answer = { kind: "correction", edited: lastText(edited) } as const;
    const isLast = canonicalJson(withLastText(completion, answer.edited)) === canonicalJson(edited);
    return isLast ? { prompt, contents: [completion], answer, columns } : "correction of more than the last message";
  },
  sft(row, line) {
    const example = readExample(row, line);
    if (example.kind !== "completion") return "no prompt";
    const { prompt, completion } = example;
    const answer = { kind: "demonstration", text: lastText(completion) } as const;
    const { prompt: _, completion: __, ...columns } = row;
    const isWritten = canonicalJson(writtenTurns(prompt, answer.text)) === canonicalJson(completion);
    if (!isWritten) return "demonstration that is not one message of the assistant";
    return answer.text === "" ? "empty demonstration" : { prompt, contents: [], answer, columns };
  },
};

/** What each format is converted to before it is read. */
const natives: Partial<Record<DatasetFormat, NativeFormat>> = {
  preference: "preference",
  "implicit-preference": "preference",
  "hh-rlhf": "preference",
  "summarize-comparison": "preference",
  unpaired: "unpaired",
  thumbs: "unpaired",
  ranked: "ranked",
  rated: "rated",
  correction: "correction",
  "prompt-completion": "sft",
};

/** Reads rows, all in the format of the first. Throws DataError for a malformed row and ConfigError for another format. */
export function readFeedbackRows(rows: readonly DatasetRow[], rater: string): ReadFeedback {
  const from = detectFormat(rows[0] ?? {});
  if (from === "prompt-only") {
    const items = rows.map((row, i) => ({ kind: "demonstration" as const, completions: [], ...readPrompt(row, i + 1) }));
    return { items, answers: [], dropped: [] };
  }
  const native = natives[from];
  if (!native) {
    const known = Object.keys(natives).join(", ");
    throw new ConfigError(`feedback import: rows must be in one of the formats ${known}, prompt-only, got ${from}. Convert them first.`);
  }
  const converted: Conversion =
    native === "correction" ? { rows, lines: rows.map((_, i) => i + 1), dropped: [] } : convertRows(rows, { from, to: native });
  const builder = new ItemBuilder();
  const dropped = [...converted.dropped];
  converted.rows.forEach((row, i) => {
    const line = converted.lines[i] as number;
    const said = readers[native](row, line);
    if (typeof said === "string") dropped.push({ line, reason: said });
    else builder.add(said, line, rater);
  });
  return { items: builder.items, answers: builder.answers, dropped };
}

/** Gathers answers about the same completions into one item, whatever the order they come in. */
class ItemBuilder {
  readonly items: NewFeedbackItem[] = [];
  readonly answers: ReadAnswer[] = [];
  readonly #same = new Map<string, { readonly item: number; readonly raters: Set<string> }[]>();

  add({ prompt, contents, answer, columns }: Said, line: number, defaultRater: string): void {
    const { rater, positions, completions, rest } = readOrigins(columns, contents, line);
    const name = rater ?? defaultRater;
    const texts = contents.map(canonicalJson);
    const key = canonicalJson([answer.kind, prompt, texts.toSorted(), rest]);
    const same = this.#same.get(key) ?? [];
    this.#same.set(key, same);
    // A rater who answered twice was asked twice.
    let there = same.find(({ raters }) => !raters.has(name));
    if (!there) {
      there = { item: this.items.length, raters: new Set() };
      same.push(there);
      this.items.push({ kind: answer.kind, prompt, completions, ...(Object.keys(rest).length > 0 ? { columns: rest } : {}) });
    }
    there.raters.add(name);
    const places = matchPlaces(
      texts,
      (this.items[there.item] as NewFeedbackItem).completions.map(({ content }) => canonicalJson(content)),
    );
    const order = positions?.map((_, place) => places[positions.indexOf(place + 1)] as number);
    this.answers.push({ item: there.item, rater: name, answer: moveAnswer(answer, places), order });
  }
}

/** Where each of `texts` is in `others`, the same texts in another order. */
function matchPlaces(texts: readonly string[], others: readonly string[]): readonly number[] {
  const taken = new Set<number>();
  return texts.map((text) => {
    const place = others.findIndex((other, i) => other === text && !taken.has(i));
    taken.add(place);
    return place;
  });
}

/** The answer when completion i has become number `places[i]`. */
function moveAnswer(answer: FeedbackAnswer, places: readonly number[]): FeedbackAnswer {
  if (answer.kind === "pair" && answer.choice !== "tie") return { ...answer, choice: places[answer.choice] as 0 | 1 };
  if (answer.kind === "ranking") return { ...answer, ranks: answer.ranks.map((_, i) => answer.ranks[places.indexOf(i)] as number) };
  return answer;
}

/** Takes the columns that rows.ts adds apart from those that are the item's own. */
function readOrigins(columns: DatasetRow, contents: readonly Turns[], line: number) {
  const { rater, positions, temperatures, sources, temperature, source, ...rest } = columns;
  const count = contents.length;
  const isList = (value: unknown) => Array.isArray(value) && value.length === count;
  if (positions !== undefined && !(isList(positions) && contents.every((_, i) => (positions as unknown[]).includes(i + 1)))) {
    throw new DataError(
      `dataset line ${line}: \`positions\` must be 1 to ${count} in some order, got ${JSON.stringify(positions)}. Correct it.`,
      {
        line,
        field: "positions",
      },
    );
  }
  const completions = contents.map((content, i): FeedbackCompletion => {
    const at = {
      temperature: isList(temperatures) ? (temperatures as unknown[])[i] : temperature,
      source: isList(sources) ? (sources as unknown[])[i] : source,
    };
    return {
      content,
      ...(typeof at.temperature === "number" ? { temperature: at.temperature } : {}),
      ...(typeof at.source === "string" ? { source: at.source } : {}),
    };
  });
  return {
    rater: typeof rater === "string" || typeof rater === "number" ? String(rater) : undefined,
    positions: positions as readonly number[] | undefined,
    completions,
    rest,
  };
}

/** Anthropic's hh-rlhf files: two dialogues written as "\n\nHuman: ...\n\nAssistant: ..." that share their beginning. */
import { readRow } from "../columns";
import { type Conversion, convertEach } from "../conversion";
import type { Message, Turns } from "../formats";
import type { DatasetRow } from "../jsonl";

export interface HhRlhfOptions {
  /** Messages instead of text. Default false. */
  readonly conversational?: boolean | undefined;
}

interface Turn extends Message {
  readonly role: "user" | "assistant";
  /** Where its content begins in the dialogue: after the colon. */
  readonly start: number;
}

/**
 * Preferences with explicit prompts. As text, a prompt ends with "\n\nAssistant:" and prompt + completion is the dialogue as it was.
 * As messages, a content is what follows the colon and one space. Where the two dialogues part before their last turn, the completions hold
 * all the turns from there on. Rows that differ in a turn of the human, or not at all, are dropped.
 */
export function hhRlhfToPreferences(rows: readonly DatasetRow[], { conversational = false }: HhRlhfOptions = {}): Conversion {
  return convertEach(rows, (row, line) =>
    readRow<readonly DatasetRow[] | string>(row, line, (columns) => {
      const [chosen, rejected] = [columns.text("chosen"), columns.text("rejected")];
      const [a, b] = [parseDialogue(chosen), parseDialogue(rejected)];
      for (const [field, turns] of [["chosen", a] as const, ["rejected", b] as const]) {
        if (turns.length === 0) columns.reject(field, 'must begin with "\\n\\nHuman:" or "\\n\\nAssistant:"', row[field]);
      }
      if (columns.problems.length > 0) return "";
      let shared = 0;
      while (shared < Math.min(a.length, b.length) && isSame(a[shared] as Turn, b[shared] as Turn)) shared++;
      const [first, second] = [a[shared], b[shared]];
      if (!first && !second) return "equal dialogues";
      if (!first || !second) return "one dialogue is the beginning of the other";
      if (first.role !== "assistant" || second.role !== "assistant") return "dialogues that part in a turn of the human";
      if (shared === 0) return "no turn in common";
      const parts = (turns: readonly Turn[]): Turns => turns.map(({ role, content }) => ({ role, content }));
      const prompt = conversational ? parts(a.slice(0, shared)) : chosen.slice(0, first.start);
      const [better, worse] = conversational
        ? [parts(a.slice(shared)), parts(b.slice(shared))]
        : [chosen.slice(first.start), rejected.slice(second.start)];
      return [{ ...columns.rest(), prompt, chosen: better, rejected: worse }];
    }),
  );
}

const isSame = (a: Turn, b: Turn) => a.role === b.role && a.content === b.content;

/** The turns of a dialogue; none where it does not begin with one. */
function parseDialogue(text: string): Turn[] {
  const headers = [...text.matchAll(/\n\n(Human|Assistant):/g)];
  if (headers[0]?.index !== 0) return [];
  return headers.map((header, i) => {
    const start = header.index + header[0].length;
    const body = text.slice(start, headers[i + 1]?.index);
    return { role: header[1] === "Human" ? "user" : "assistant", content: body.replace(/^ /, ""), start };
  });
}

/** What to ask about completions: for every kind the questions that have not been asked yet, few enough to be answered. */
import { type FeedbackKind, type FeedbackSession, feedbackItems, type NewFeedbackItem } from "../src/feedback/headless";
import { byPrompt } from "./prompts";
import type { Session, StudioCompletion, StudioPrompt } from "./store";

/** A ranking of more is tiring; the next ranking takes the others. */
const LARGEST_RANKING = 4;

/** Questions of a kind that the session could ask and has not. */
export function newQuestions(kind: FeedbackKind, session: Session, asked: FeedbackSession): readonly NewFeedbackItem[] {
  const known = new Set(asked.items.map(identity));
  const completions = byPrompt(session.completions);
  const all = session.prompts.flatMap((prompt) => questionsOf(kind, prompt, completions.get(prompt.id) ?? []));
  return all.filter((item) => !known.has(identity(item)));
}

function questionsOf(kind: FeedbackKind, prompt: StudioPrompt, completions: readonly StudioCompletion[]): NewFeedbackItem[] {
  const contents = completions
    .filter(({ text }) => text.trim() !== "")
    .map(({ text, temperature, modelId }) => ({
      content: typeof prompt.prompt === "string" ? text : [{ role: "assistant", content: text }],
      temperature,
      source: modelId,
    }));
  if (kind === "demonstration") return feedbackItems(kind, prompt.prompt, [], prompt.columns);
  const size = kind === "pair" ? 2 : kind === "ranking" ? LARGEST_RANKING : 1;
  const groups = Array.from({ length: Math.ceil(contents.length / size) }, (_, i) => contents.slice(i * size, (i + 1) * size));
  return groups.flatMap((group) => feedbackItems(kind, prompt.prompt, group, prompt.columns));
}

const identity = ({ prompt, completions }: NewFeedbackItem) => JSON.stringify([prompt, completions.map(({ content }) => content)]);

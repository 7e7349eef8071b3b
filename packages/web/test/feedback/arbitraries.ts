/** Random items of every kind and answers that fit them. */
import { FEEDBACK_KINDS, type FeedbackAnswer, type FeedbackItem, type NewFeedbackItem } from "@trimtab/web";
import fc from "fast-check";

/** Texts with what JSON and HTML stumble over. */
const text = fc.oneof(fc.string({ minLength: 1, maxLength: 12 }), fc.constantFrom("  two\n lines\t", "<b>&amp;</b>", "👩‍🚀 é", '"'));

const turns = (isConversation: boolean, role: string) => (isConversation ? text.map((content) => [{ role, content }]) : text);

const completion = (isConversation: boolean) =>
  fc.record(
    { content: turns(isConversation, "assistant"), temperature: fc.constantFrom(0, 0.5, 1), source: fc.constantFrom("base", "tuned") },
    { requiredKeys: ["content"] },
  );

/** An item whose completions differ. */
export const anyItem: fc.Arbitrary<NewFeedbackItem> = fc
  .record({ kind: fc.constantFrom(...FEEDBACK_KINDS), isConversation: fc.boolean() })
  .chain(({ kind, isConversation }) => {
    const [low, high] = kind === "pair" ? [2, 2] : kind === "ranking" ? [2, 5] : kind === "demonstration" ? [0, 0] : [1, 1];
    const completions = fc.uniqueArray(completion(isConversation), {
      minLength: low,
      maxLength: high,
      selector: ({ content }) => JSON.stringify(content),
    });
    return fc.record({ kind: fc.constant(kind), prompt: turns(isConversation, "user"), completions });
  });

export function anyAnswer({ kind, completions }: FeedbackItem): fc.Arbitrary<FeedbackAnswer> {
  switch (kind) {
    case "pair":
      return fc.oneof(
        fc.constant<FeedbackAnswer>({ kind, choice: "tie" }),
        fc.record(
          { kind: fc.constant(kind), choice: fc.constantFrom(0 as const, 1 as const), margin: fc.constantFrom(0, 1 / 3, 1) },
          { requiredKeys: ["kind", "choice"] },
        ),
      );
    case "ranking":
      return fc
        .array(fc.integer({ min: 1, max: 4 }), { minLength: completions.length, maxLength: completions.length })
        .map((marks) => ({ kind, ranks: marks.map((mark) => 1 + marks.filter((other) => other < mark).length) }));
    case "thumbs":
      return fc.boolean().map((liked) => ({ kind, liked }));
    case "stars":
      return fc.integer({ min: 1, max: 5 }).map((rating) => ({ kind, rating }));
    case "correction":
      return text.map((edited) => ({ kind, edited }));
    case "demonstration":
      return text.map((written) => ({ kind, text: written }));
  }
}

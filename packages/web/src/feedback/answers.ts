/** What is said of an item, and by whom. */
import { DataError } from "@trimtab/core";
import type { FeedbackItem } from "./items";

/** The better completion by its index in the item; `margin` is how much better, in reward, where that was asked. */
export interface PairAnswer {
  readonly kind: "pair";
  readonly choice: 0 | 1 | "tie";
  readonly margin?: number | undefined;
}

/** The rank of each completion of the item: 1 is the best, equal ranks are ties. (K) */
export interface RankingAnswer {
  readonly kind: "ranking";
  readonly ranks: readonly number[];
}

export interface ThumbsAnswer {
  readonly kind: "thumbs";
  readonly liked: boolean;
}

/** A whole number from 1 to 5. */
export interface StarsAnswer {
  readonly kind: "stars";
  readonly rating: number;
}

/** What the completion (the last message of it) should have been. */
export interface CorrectionAnswer {
  readonly kind: "correction";
  readonly edited: string;
}

export interface DemonstrationAnswer {
  readonly kind: "demonstration";
  readonly text: string;
}

export type FeedbackAnswer = PairAnswer | RankingAnswer | ThumbsAnswer | StarsAnswer | CorrectionAnswer | DemonstrationAnswer;

/** One rater's answer to one item; null is a skip. */
export interface FeedbackRecord {
  readonly item: string;
  readonly rater: string;
  readonly answer: FeedbackAnswer | null;
  /** The index of the completion at each place from first to last, as they were shown. (K) Undefined where nobody knows: imported rows. */
  readonly order?: readonly number[] | undefined;
}

/** An answer with the item that it answers. */
export interface Feedback {
  readonly item: FeedbackItem;
  readonly answer: FeedbackAnswer;
  readonly rater: string;
  readonly order?: readonly number[] | undefined;
}

/** Throws DataError where an answer does not answer the item. */
export function checkAnswer(item: FeedbackItem, answer: FeedbackAnswer): void {
  const problem = answer.kind === item.kind ? problemOf(item, answer) : `it must be of the item's kind, ${item.kind}`;
  if (problem === undefined) return;
  throw new DataError(`answer to feedback item ${item.id}: ${problem}, got ${JSON.stringify(answer)}. Correct the answer.`);
}

function problemOf(item: FeedbackItem, answer: FeedbackAnswer): string | undefined {
  switch (answer.kind) {
    case "pair": {
      const { choice, margin } = answer;
      if (choice !== 0 && choice !== 1 && choice !== "tie") return 'choice must be 0, 1 or "tie"';
      if (margin === undefined) return undefined;
      if (choice === "tie") return "a tie must have no margin";
      return Number.isFinite(margin) ? undefined : "margin must be a finite number";
    }
    case "ranking": {
      const { ranks } = answer;
      if (ranks.length !== item.completions.length) return `there must be a rank for each of ${item.completions.length} completions`;
      const areRanks = ranks.every((rank) => Number.isInteger(rank) && rank >= 1) && ranks.includes(1);
      return areRanks ? undefined : "ranks must be whole numbers from 1, the best, on";
    }
    case "thumbs":
      return typeof answer.liked === "boolean" ? undefined : "liked must be true or false";
    case "stars":
      return isStars(answer.rating) ? undefined : "rating must be a whole number from 1 to 5";
    case "correction":
      return typeof answer.edited === "string" ? undefined : "edited must be text";
    case "demonstration":
      return typeof answer.text === "string" && answer.text !== "" ? undefined : "text must not be empty";
  }
}

export const isStars = (rating: number): boolean => Number.isInteger(rating) && rating >= 1 && rating <= 5;

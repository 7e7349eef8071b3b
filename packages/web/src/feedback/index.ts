/** @trimtab/web/feedback: the elements that collect feedback, registered on import, and what they are made of without a DOM. */
export { controls } from "./controls";
export { type FeedbackEvent, TrimtabFeedback } from "./elements/feedback";
export type { AnswerEvent } from "./elements/item-element";
export { TrimtabPair } from "./elements/pair";
export { TrimtabRanking } from "./elements/ranking";
export type { ShortcutScope } from "./elements/shortcuts";
export { TrimtabStars } from "./elements/stars";
export { TrimtabThumbs } from "./elements/thumbs";
export { TrimtabCorrection, TrimtabDemonstration } from "./elements/written";
export * from "./headless";
export { elementTokens, pageTokens, type TokenName, tokens } from "./theme";

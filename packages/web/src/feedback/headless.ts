/** Feedback without a DOM: sessions, judges that answer in them, and training on them. */

export type { ComparableKind, FeedbackAgreement } from "./agreement";
export type {
  CorrectionAnswer,
  DemonstrationAnswer,
  Feedback,
  FeedbackAnswer,
  FeedbackRecord,
  PairAnswer,
  RankingAnswer,
  StarsAnswer,
  ThumbsAnswer,
} from "./answers";
export {
  FEEDBACK_KINDS,
  type FeedbackCompletion,
  type FeedbackItem,
  type FeedbackKind,
  feedbackItems,
  type NewFeedbackItem,
} from "./items";
export { type AskJudgeOptions, askJudge, type FeedbackJudge } from "./judges";
export type { FeedbackProgress, FeedbackRater, RaterChange } from "./rater";
export { FEEDBACK_FORMATS, type FeedbackFormat, type FeedbackRowsOptions, feedbackRow, feedbackRows } from "./rows";
export {
  type FeedbackChange,
  type FeedbackImport,
  FeedbackSession,
  type FeedbackSessionOptions,
  type FeedbackSessionState,
} from "./session";
export {
  createFeedbackTrainer,
  type FeedbackAlgorithm,
  type FeedbackTrainer,
  type FeedbackTrainerOptions,
  type FeedbackTrainerStatus,
} from "./trainer";

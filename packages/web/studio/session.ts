/** Sessions as values: a new one, and what one needs to come back from storage as it was. */
import { FEEDBACK_KINDS, FeedbackSession } from "../src/feedback/headless";
import type { RunStatus, Session, StudioRun } from "./store";

/** A short random name for a record: 48 bits, enough for what one person makes. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function newSession(name: string, now: number): Session {
  return {
    id: newId(),
    name,
    createdAt: now,
    view: "model",
    modelId: undefined,
    models: [],
    prompts: [],
    completions: [],
    feedback: Object.fromEntries(FEEDBACK_KINDS.map((kind) => [kind, new FeedbackSession().toJSON()])) as unknown as Session["feedback"],
    rater: "me",
    runs: [],
  };
}

const UNDER_WAY: readonly RunStatus[] = ["starting", "running", "paused"];

/** It goes, or can go on. */
export function isUnderWay({ status }: StudioRun): boolean {
  return UNDER_WAY.includes(status);
}

/** The models that a run needs, by id. */
export function modelsOf({ setup }: StudioRun): readonly string[] {
  return [setup.modelId, ...setup.rewards.flatMap((reward) => ("modelId" in reward ? [reward.modelId] : []))];
}

/**
 * A session as it comes back after its page went: a run that was under way is paused at its last checkpoint (what it did since is lost and
 * will be done again, with the same result), or has failed where it had none; models that only the page had are gone.
 */
export function revived(session: Session): Session {
  const models = session.models.filter(({ place }) => place !== undefined);
  const modelId = models.some(({ id }) => id === session.modelId) ? session.modelId : models.find(({ kind }) => kind === "lm")?.id;
  return { ...session, models, modelId, runs: session.runs.map(revivedRun) };
}

function revivedRun(run: StudioRun): StudioRun {
  if (!isUnderWay(run)) return run;
  const { checkpoint } = run;
  if (!checkpoint) return { ...run, status: "failed", error: "The page was closed before the first checkpoint. Start it again." };
  return {
    ...run,
    status: "paused",
    history: run.history.filter(({ step }) => step <= checkpoint.step),
    samples: run.samples.filter(({ step }) => step <= checkpoint.step),
  };
}

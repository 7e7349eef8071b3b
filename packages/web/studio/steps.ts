/** The way through the studio: six steps, what each has so far, and which is next. */
import { isUnderWay } from "./session";
import type { StudioState, ViewName } from "./store";

export interface Step {
  readonly view: ViewName;
  readonly title: string;
  /** What there is, in a few words. */
  readonly status: string;
  readonly isDone: boolean;
}

/** The steps in order with what the session has of each. */
export function stepsOf({ session }: StudioState): readonly Step[] {
  const { models, prompts, completions, feedback, runs } = session;
  const model = models.find(({ id }) => id === session.modelId);
  const answers = Object.values(feedback).flatMap(({ raters }) =>
    raters.flatMap(({ done }) => done.filter(({ answer }) => answer !== null)),
  ).length;
  const finished = runs.filter(({ status }) => status === "finished" || status === "stopped").length;
  const active = runs.find(isUnderWay);
  return [
    { view: "model", title: "Model", status: model?.name ?? "Choose one", isDone: model !== undefined },
    { view: "prompts", title: "Prompts", status: counted(prompts.length, "prompt"), isDone: prompts.length > 0 },
    { view: "sample", title: "Sample", status: counted(completions.length, "completion"), isDone: completions.length > 0 },
    { view: "feedback", title: "Feedback", status: counted(answers, "answer"), isDone: answers > 0 },
    {
      view: "train",
      title: "Train",
      status: active ? `${active.name}, ${active.status}` : counted(finished, "run"),
      isDone: finished > 0,
    },
    { view: "export", title: "Export", status: finished > 0 ? "Ready" : "Nothing new yet", isDone: false },
  ];
}

/** The first step that is not done. */
export function nextStep(state: StudioState): Step {
  return stepsOf(state).find(({ isDone }) => !isDone) as Step;
}

/** "1 prompt", "2 prompts", "No prompts". */
export function counted(count: number, noun: string): string {
  return `${count === 0 ? "No" : count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

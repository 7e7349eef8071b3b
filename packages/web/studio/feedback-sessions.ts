/** The feedback sessions of a studio session, one for every kind, alive: what happens to one is told with all of them as JSON. */
import { FEEDBACK_FORMATS, FEEDBACK_KINDS, type FeedbackKind, FeedbackSession, feedbackRows } from "../src/feedback/headless";
import type { Datasets, Session } from "./store";

export class FeedbackSessions {
  readonly #sessions: ReadonlyMap<FeedbackKind, FeedbackSession>;
  #json: Session["feedback"];

  /** `changed` hears of every change, with the new JSON. Throws DataError for anything but what these sessions wrote. */
  constructor(json: Session["feedback"], changed: (json: Session["feedback"]) => void = () => {}) {
    this.#json = json;
    this.#sessions = new Map(FEEDBACK_KINDS.map((kind) => [kind, FeedbackSession.fromJSON(json[kind])]));
    for (const [kind, session] of this.#sessions) {
      session.subscribe(() => {
        this.#json = { ...this.#json, [kind]: session.toJSON() };
        changed(this.#json);
      });
    }
  }

  of(kind: FeedbackKind): FeedbackSession {
    return this.#sessions.get(kind) as FeedbackSession;
  }

  /** The answers as rows of every format. */
  datasets(): Datasets {
    const all = [...this.#sessions.values()].flatMap(({ feedback }) => feedback);
    const rows = FEEDBACK_FORMATS.map((format) => {
      const said = feedbackRows(all, format);
      return [format, said.length > 0 ? said : feedbackRows(all, format, { kinds: "all" })] as const;
    });
    return Object.fromEntries(rows) as unknown as Datasets;
  }
}

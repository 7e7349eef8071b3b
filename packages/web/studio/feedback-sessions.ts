/** The feedback sessions of a studio session, one for every kind, alive: what happens to them is told soon after, with all of them as JSON. */
import { FEEDBACK_FORMATS, FEEDBACK_KINDS, type FeedbackKind, FeedbackSession, feedbackRows } from "../src/feedback/headless";
import type { Datasets, Session } from "./store";

export class FeedbackSessions {
  readonly #sessions: ReadonlyMap<FeedbackKind, FeedbackSession>;
  #json: Session["feedback"];
  /** What changed since it was told last. */
  readonly #touched = new Set<FeedbackKind>();

  /**
   * `changed` hears in a microtask of all that changed until then, with the new JSON: a judge's many answers are told once.
   * Throws DataError for anything but what these sessions wrote.
   */
  constructor(json: Session["feedback"], changed: (json: Session["feedback"]) => void = () => {}) {
    this.#json = json;
    this.#sessions = new Map(FEEDBACK_KINDS.map((kind) => [kind, FeedbackSession.fromJSON(json[kind])]));
    for (const [kind, session] of this.#sessions) {
      session.subscribe(() => {
        if (this.#touched.size === 0) {
          queueMicrotask(() => {
            const written = [...this.#touched].map((touched) => [touched, this.of(touched).toJSON()] as const);
            this.#touched.clear();
            this.#json = { ...this.#json, ...Object.fromEntries(written) };
            changed(this.#json);
          });
        }
        this.#touched.add(kind);
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

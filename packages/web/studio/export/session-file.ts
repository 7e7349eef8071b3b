/** A session as one JSON file: everything but the files of models, adapters and checkpoints. */
import { FeedbackSessions } from "../feedback-sessions";
import { newId, newSession } from "../session";
import type { Session } from "../store";

const FORMAT = "trimtab-studio-session";

export function sessionJson(session: Session): string {
  return `${JSON.stringify({ format: FORMAT, version: 1, session })}\n`;
}

/**
 * The session of a file that `sessionJson` wrote, under a new id. Models stay in it where a URL or the hub finds them; runs stay as records. Throws
 * Error, saying what is wrong, for anything else.
 */
export function readSessionJson(text: string): Session {
  let file: { readonly format?: unknown; readonly version?: unknown; readonly session?: Session };
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error("The file must be a session that the studio exported, got no JSON. Choose another.");
  }
  const { format, version, session } = file;
  if (format !== FORMAT || version !== 1 || !session) {
    throw new Error(`The file must be a session that the studio exported, got ${JSON.stringify(format) ?? "other JSON"}. Choose another.`);
  }
  new FeedbackSessions(session.feedback); // throws where an answer does not fit its question
  const models = session.models.filter(({ place }) => place && !("storage" in place));
  return {
    ...newSession(session.name, Date.now()),
    ...session,
    id: newId(),
    models,
    modelId: models.find(({ id, kind }) => id === session.modelId && kind === "lm")?.id ?? models.find(({ kind }) => kind === "lm")?.id,
    runs: session.runs.map(({ checkpoint: _, adapter: __, ...run }) =>
      run.status === "finished" || run.status === "stopped" ? run : { ...run, status: "failed", error: "It was under way elsewhere." },
    ),
  };
}

/** Keeps sessions in IndexedDB, a record for each run so that a step rewrites its own run only, and lists them. */
import { createStore, del, get, getMany, set, setMany } from "idb-keyval";
import type { Session, SessionSummary, StudioRun } from "./store";

/** How a session lies in storage: without its runs, which have records of their own. */
type Kept = Omit<Session, "runs"> & { readonly version: 1; readonly runIds: readonly string[] };

const database = createStore("trimtab-studio", "sessions");
const LIST = "list";
const sessionKey = (id: string) => `session/${id}`;
const runKey = (id: string, runId: string) => `run/${id}/${runId}`;

export async function listSessions(): Promise<readonly SessionSummary[]> {
  return (await get<readonly SessionSummary[]>(LIST, database)) ?? [];
}

/** A kept session, or undefined where there is none of that id. */
export async function readSession(id: string): Promise<Session | undefined> {
  const kept = await get<Kept>(sessionKey(id), database);
  if (!kept) return undefined;
  const { version: _, runIds, ...session } = kept;
  const runs = await getMany<StudioRun>(
    runIds.map((runId) => runKey(id, runId)),
    database,
  );
  return { ...session, runs: runs.filter((run) => run !== undefined) };
}

/** Forgets a session's records; returns the list without it. */
export async function forgetSession(id: string): Promise<readonly SessionSummary[]> {
  const kept = await get<Kept>(sessionKey(id), database);
  const list = (await listSessions()).filter((summary) => summary.id !== id);
  await set(LIST, list, database);
  for (const runId of kept?.runIds ?? []) await del(runKey(id, runId), database);
  await del(sessionKey(id), database);
  return list;
}

/** Writes a session soon after it changed: at most one write is under way, and the last state is always written. */
export class SessionKeeper {
  readonly #delayMs: number;
  readonly #report: (error: Error) => void;
  #pending: Session | undefined;
  #written: Session | undefined;
  #writing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `report` hears of a write that failed; the next change tries again. */
  constructor(report: (error: Error) => void, delayMs = 400) {
    this.#report = report;
    this.#delayMs = delayMs;
  }

  /** Takes note of a state of the open session. */
  keep(session: Session): void {
    if (session === (this.#pending ?? this.#written)) return;
    this.#pending = session;
    this.#timer ??= setTimeout(() => void this.flush(), this.#delayMs);
  }

  /** A session that has just been read needs no writing. */
  adopt(session: Session): void {
    this.#written = session;
  }

  /** Writes what is not written yet. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    const session = this.#pending;
    if (!session) return;
    this.#pending = undefined;
    this.#writing = this.#write(session).catch((error: Error) => this.#report(error));
    await this.#writing;
    this.#writing = undefined;
  }

  /** What waits to be written no longer matters. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pending = undefined;
    this.#written = undefined;
  }

  async #write(session: Session): Promise<void> {
    const before = this.#written?.id === session.id ? this.#written : undefined;
    const { runs, ...rest } = session;
    const kept: Kept = { ...rest, version: 1, runIds: runs.map(({ id }) => id) };
    const changed = runs.filter((run) => !before?.runs.includes(run));
    await setMany(
      [[sessionKey(session.id), kept], ...changed.map((run): [string, StudioRun] => [runKey(session.id, run.id), run])],
      database,
    );
    for (const { id } of before?.runs ?? []) {
      if (!runs.some((run) => run.id === id)) await del(runKey(session.id, id), database);
    }
    const summary = { id: session.id, name: session.name, savedAt: Date.now() };
    await set(LIST, [summary, ...(await listSessions()).filter(({ id }) => id !== session.id)], database);
    this.#written = session;
  }
}

/** Worker thread: loads a user's reward modules (.js, .mjs, .ts) through jiti and answers calls to their functions. */
import { basename, extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import { createJiti } from "jiti";
import type { RewardReply, RewardRequest, RewardWorkerData } from "./protocol";

type UserReward = (args: Record<string, unknown>) => unknown;

interface NamedReward {
  readonly name: string;
  readonly call: UserReward;
}

/** What engines and transpilers call a default export without a name. */
const UNNAMED = new Set(["default", "_default"]);

const isFunction = (value: unknown): value is UserReward => typeof value === "function";

/** The functions that `path` (all exported ones, by name) or `path#export` (that one) names. */
async function loadModule(spec: string): Promise<NamedReward[]> {
  const hash = spec.lastIndexOf("#");
  const path = resolve(hash > 0 ? spec.slice(0, hash) : spec);
  const wanted = hash > 0 ? spec.slice(hash + 1) : undefined;
  const stem = basename(path, extname(path));
  const jiti = createJiti(pathToFileURL(path).href, { interopDefault: false, moduleCache: false });
  const exports = await jiti.import<Record<string, unknown>>(path);
  const named = (key: string, value: unknown): NamedReward[] => {
    if (Array.isArray(value)) return value.flatMap((item, i) => named(`${key}${i}`, item));
    if (!isFunction(value)) return [];
    const own = value.name && !UNNAMED.has(value.name) ? value.name : key === "default" ? stem : key;
    return [{ name: own, call: value }];
  };
  // Like the keys of a module namespace, whatever the transpiler's order: --reward-weights must mean the same every time.
  const entries = Object.entries(exports)
    .filter(([key]) => key !== "module.exports")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (wanted !== undefined) {
    const found = named(wanted, exports[wanted]);
    if (found.length === 0) {
      throw new Error(`${spec}: "${wanted}" must be an exported function, got exports ${entries.map(([key]) => key).join(", ") || "none"}`);
    }
    return found;
  }
  const seen = new Set<UserReward>();
  const found = entries.flatMap(([key, value]) => named(key, value)).filter(({ call }) => !seen.has(call) && seen.add(call));
  if (found.length === 0)
    throw new Error(`${spec}: it must export at least one function, got exports ${entries.map(([key]) => key).join(", ") || "none"}`);
  return found;
}

const describe = (error: unknown) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error));

async function answer(
  reward: NamedReward,
  { id, args }: Extract<RewardRequest, { type: "call" }>,
  signal: AbortSignal,
): Promise<RewardReply> {
  const extras: [string, unknown][] = [];
  const metrics: [string, number][] = [];
  try {
    const values = await reward.call({
      ...args,
      signal,
      logExtra: (column: string, columnValues: unknown) => void extras.push([column, columnValues]),
      logMetric: (name: string, value: number) => void metrics.push([name, value]),
    });
    return { type: "result", id, values, extras, metrics };
  } catch (error) {
    return { type: "error", id, message: describe(error) };
  }
}

const port = parentPort;
if (!port) throw new Error("reward-worker: it must be started as a worker thread.");
const post = (reply: RewardReply) => {
  try {
    port.postMessage(reply);
  } catch (error) {
    if (reply.type === "result") port.postMessage({ type: "error", id: reply.id, message: describe(error) } satisfies RewardReply);
    else throw error;
  }
};

try {
  const rewards: NamedReward[] = [];
  for (const spec of (workerData as RewardWorkerData).modules) rewards.push(...(await loadModule(spec)));
  const running = new Map<number, AbortController>();
  port.on("message", (request: RewardRequest) => {
    if (request.type === "abort") {
      running.get(request.id)?.abort();
      return;
    }
    const controller = new AbortController();
    running.set(request.id, controller);
    void answer(rewards[request.index] as NamedReward, request, controller.signal).then((reply) => {
      running.delete(request.id);
      post(reply);
    });
  });
  post({ type: "ready", names: rewards.map((r) => r.name) });
} catch (error) {
  post({ type: "failed", message: describe(error) });
}

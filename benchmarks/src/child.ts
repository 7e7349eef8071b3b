/** A contestant in a process of its own, where peers that cannot share one with others run: it does one piece of work for each line it is sent. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Contestant } from "./measure/timing";

export interface ChildContestant extends Contestant {
  close(): void;
}

/**
 * Starts `command`. It writes a line when it is ready, and a line for each line that it reads, when the work is done; an `error: ` line says why it
 * cannot. Undefined where it does not start or says so.
 */
export async function startChild(
  name: string,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<ChildContestant | string> {
  const child: ChildProcess = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
  let said = "";
  child.stderr?.on("data", (data) => {
    said = `${said}${data}`.slice(-2000);
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const waiting: ((line: string) => void)[] = [];
  lines.on("line", (line) => waiting.shift()?.(line));
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`error: ${error.message}`));
    child.once("close", (code) => resolve(`error: it ended with code ${code}. ${said.trim().split("\n").at(-1) ?? ""}`));
  });
  const next = () => Promise.race([new Promise<string>((resolve) => waiting.push(resolve)), ended]);
  const first = await next();
  if (first.startsWith("error: ")) {
    child.kill();
    return first.slice("error: ".length);
  }
  return {
    name,
    async run() {
      const answer = next();
      child.stdin?.write("run\n");
      const line = await answer;
      if (line.startsWith("error: ")) throw new Error(`${name}: ${line.slice("error: ".length)}`);
    },
    close: () => child.kill(),
  };
}

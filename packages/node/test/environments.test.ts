/** Environments that the command line can name: the built-in ones and a user's module. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@trimtab/core";
import { afterAll, expect, it } from "vitest";
import { environmentOf, loadEnvironment } from "../src/environments";

const folder = mkdtempSync(join(tmpdir(), "trimtab-environments-"));
afterAll(() => rmSync(folder, { recursive: true }));

const context = { sampleIndex: 0, trainerState: { globalStep: 0, maxSteps: 1, epoch: 0 } };

it("loads built-in environments, default and named exports", async () => {
  const path = join(folder, "echo.ts");
  writeFileSync(
    path,
    `const make = (reward: number) => () => ({ reset: () => null, step: () => ({ reward, done: true }) });
export default make(1);
export const two = make(2);
export const three = 3;`,
  );
  for (const [spec, reward] of [
    [path, 1],
    [`${path}#two`, 2],
  ] as const) {
    const environment = await (await loadEnvironment(spec))({}, 0, context);
    expect(await environment.step("", {} as never)).toEqual({ reward, done: true });
  }
  const guessing = await (await loadEnvironment("guess"))({ secret: 7 }, 0, context);
  expect(await guessing.step("7", {} as never)).toEqual({ reward: 1, done: true });
  expect(typeof (await loadEnvironment("calculator"))).toBe("function");
  for (const spec of [`${path}#three`, `${path}#four`, "gess"]) {
    await expect(loadEnvironment(spec)).rejects.toThrow(ConfigError);
  }
});

it("gives a rollout function only where an environment is named", async () => {
  const flags = { environmentTimeout: 60, maxTurns: 4 };
  expect(await environmentOf(flags)).toBeUndefined();
  expect(typeof (await environmentOf({ ...flags, environment: "guess" }))).toBe("function");
  await expect(environmentOf({ ...flags, maxTurns: 0, environment: "guess" })).rejects.toThrow(ConfigError);
});

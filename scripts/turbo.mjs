/** Runs turbo with telemetry off, which is a choice only its environment can carry. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

const turbo = createRequire(import.meta.url).resolve("turbo/bin/turbo");
const { status } = spawnSync(process.execPath, [turbo, "run", "--ui=stream", "--output-logs=errors-only", ...process.argv.slice(2)], {
  stdio: "inherit",
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1" },
});
process.exit(status ?? 1);

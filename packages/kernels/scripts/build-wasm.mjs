/** Compiles AssemblyScript entries to build/*.wasm, one child process per artefact so that both cores are used. */
import { fork } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HASH_FILE, sourcesHash } from "./sources-hash.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const common = ["-O3", "--noAssert", "--runtime", "stub", "--use", "abort="];

/** The device: its memory is the host's, shared between worker threads; the maximum is what a host may choose up to. */
const engine = (features) => ({
  entry: "assembly/engine.ts",
  flags: [
    "--importMemory",
    "--sharedMemory",
    "--initialMemory",
    "1",
    "--maximumMemory",
    "65536",
    "--enable",
    features,
    "--disableWarning",
    "201",
  ],
});

/** name of the artefact -> entry file and the flags beyond the common ones. The longest build comes first. */
const artefacts = {
  "engine-strict": engine("simd,threads"),
  "engine-relaxed": engine("simd,threads,relaxed-simd"),
  tokenizer: { entry: "assembly/tokenizer.ts", flags: [] },
  host: { entry: "assembly/host.ts", flags: [] },
};

async function compile(name) {
  const { main } = await import("assemblyscript/asc");
  const { entry, flags } = artefacts[name];
  const { error, stderr } = await main([entry, "--outFile", `build/${name}.wasm`, "--baseDir", root, ...common, ...flags], {
    stdout: { write: () => true },
  });
  if (error) {
    console.error(`build-wasm: ${name}.wasm did not compile.\n${stderr.toString()}${error.message}`);
    process.exit(1);
  }
  const warnings = stderr.toString();
  if (warnings) console.error(`build-wasm: ${name}.wasm\n${warnings}`);
}

const build = (name) =>
  new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [name], { cwd: root });
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(name))));
  });

if (process.argv[2]) {
  await compile(process.argv[2]);
} else {
  const missing = Object.values(artefacts).filter(({ entry }) => !existsSync(join(root, entry)));
  if (missing.length > 0) {
    console.error(
      `build-wasm: every artefact needs its entry file, missing ${missing.map(({ entry }) => entry).join(", ")}. Restore it or drop its row.`,
    );
    process.exit(1);
  }
  mkdirSync(join(root, "build"), { recursive: true });
  const hash = sourcesHash();
  const failed = (await Promise.allSettled(Object.keys(artefacts).map(build))).filter(({ status }) => status === "rejected");
  if (failed.length > 0) process.exit(1);
  writeFileSync(HASH_FILE, hash);
}

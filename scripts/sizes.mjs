/**
 * What is shipped: the bytes of each package's files, and of each entry point bundled with all it imports, minified and compressed. Every figure has a
 * budget in sizes.json; one above it fails. `--update` sets each budget to a tenth above what is there now. Needs a build.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { builtinModules, createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("../", import.meta.url));
const budgetFile = fileURLToPath(new URL("./sizes.json", import.meta.url));
const require = createRequire(import.meta.url);
// The bundler that tsup, a dependency of ours, brings along.
const { build } = createRequire(require.resolve("tsup"))("esbuild");

/** Left to the host: Node's own modules, and its GPU, which is a native library. */
const external = [...builtinModules, ...builtinModules.map((name) => `node:${name}`), "webgpu"];

/** Script files that an entry point starts by their address, so that no bundler sees them in its imports. */
const WORKERS = /(worker|sandbox)[\w-]*\.js$/;

const brotli = (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;

/** Bytes of an entry point's own graph, which must be there before anything runs, and of everything that it may import later. */
async function bundled(file) {
  const { outputFiles, metafile } = await build({
    entryPoints: [file],
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    outdir: "/bundle",
    absWorkingDir: root,
    write: false,
    metafile: true,
    external,
    logLevel: "error",
    // Bundle what is built: no paths of a tsconfig.json to the sources.
    tsconfigRaw: "{}",
  });
  const outputs = new Map(outputFiles.map(({ path, contents }) => [path, contents]));
  const at = (path) => outputs.get([...outputs.keys()].find((known) => known.endsWith(path.replace(/^(\.\.\/)+/, "/"))));
  const [entry] = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint !== undefined);
  const first = new Set();
  const visit = (path) => {
    if (first.has(path)) return;
    first.add(path);
    for (const { path: next, kind, external: isOutside } of metafile.outputs[path].imports) {
      if (kind === "import-statement" && !isOutside) visit(next);
    }
  };
  visit(entry);
  const sum = (paths, size) => [...paths].reduce((total, path) => total + size(at(path)), 0);
  const all = Object.keys(metafile.outputs);
  return {
    minified: sum(first, (bytes) => bytes.length),
    gzip: sum(first, (bytes) => gzipSync(bytes, { level: 9 }).length),
    brotli: sum(first, brotli),
    "brotli with what is imported later": sum(all, brotli),
  };
}

/** Entry points of a package by the name that users import, and its worker files. */
function entriesOf(folder, { name, exports }) {
  const entries = Object.entries(exports).flatMap(([path, target]) => {
    return typeof target === "object" ? [[`${name}${path.slice(1)}`, `${folder}/${target.default}`]] : [];
  });
  const files = JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: `${root}${folder}`, encoding: "utf8" }),
  )[0];
  const workers = files.files.map(({ path }) => path).filter((path) => path.startsWith("dist/") && WORKERS.test(path));
  return {
    entries: [...entries, ...workers.map((path) => [`${name}: ${path.slice("dist/".length)}`, `${folder}/${path}`])],
    // Types are not shipped to anybody who runs the code.
    published: { "published files": files.files.filter(({ path }) => !path.endsWith(".d.ts")).reduce((sum, { size }) => sum + size, 0) },
  };
}

const measured = {};
for (const package_ of ["kernels", "core", "node", "web"]) {
  const folder = `packages/${package_}`;
  const manifest = JSON.parse(readFileSync(`${root}${folder}/package.json`, "utf8"));
  const { entries, published } = entriesOf(folder, manifest);
  measured[`${manifest.name}, whole`] = published;
  for (const [name, file] of entries) measured[name] = await bundled(file);
}

const kilobytes = (bytes) => (bytes === undefined ? "" : `${(bytes / 1000).toFixed(1)}`);

if (process.argv.includes("--update")) {
  const roomy = (sizes) => Object.fromEntries(Object.entries(sizes).map(([what, bytes]) => [what, Math.ceil((1.1 * bytes) / 1000) * 1000]));
  const budgets = Object.fromEntries(Object.entries(measured).map(([name, sizes]) => [name, roomy(sizes)]));
  writeFileSync(budgetFile, `${JSON.stringify(budgets, null, 2)}\n`);
}
if (process.argv.includes("--json")) {
  console.log(JSON.stringify(measured));
} else {
  console.log("kB shipped, and budgets\n");
  for (const [name, sizes] of Object.entries(measured)) {
    console.log(
      `${name.padEnd(34)} ${Object.entries(sizes)
        .map(([what, bytes]) => `${what} ${kilobytes(bytes)}`)
        .join(", ")}`,
    );
  }
}

const budgets = JSON.parse(readFileSync(budgetFile, "utf8"));
const complaints = Object.entries(measured).flatMap(([name, sizes]) =>
  Object.entries(sizes).flatMap(([what, bytes]) => {
    const budget = budgets[name]?.[what];
    if (budget === undefined) return [`${name}, ${what}: there must be a budget in scripts/sizes.json, got none (${bytes} bytes now).`];
    return bytes <= budget
      ? []
      : [`${name}, ${what}: at most ${budget} bytes are allowed, got ${bytes}. Make it smaller, or raise the budget and say why.`];
  }),
);
for (const name of Object.keys(budgets))
  if (!(name in measured)) complaints.push(`${name}: its budget in scripts/sizes.json is for nothing that is there. Remove it.`);
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;

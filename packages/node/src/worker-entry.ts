/** Where the built entry of a worker thread lies, also when this package runs from its sources (tests). */

/** The URL of `dist/<name>.js`. Workers cannot run TypeScript sources, so from `src` the built file is used. */
export function workerEntry(name: "engine-worker" | "pool-worker" | "reward-worker" | "sandbox-worker"): URL {
  const fromSources = import.meta.url.endsWith(".ts");
  return new URL(fromSources ? `../dist/${name}.js` : `./${name}.js`, import.meta.url);
}

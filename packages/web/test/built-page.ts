/** A page of a test, built by Vite from the built packages: what an application's own build would make of them. */
import { build, type Rolldown } from "vite";

type Files = Readonly<Record<string, string | Uint8Array>>;
const built = new Map<string, Promise<Files>>();

/** The page's files by URL path, for `serveSite`: an index.html that runs `entry`, the scripts and the workers. Several suites have the same page. */
export function buildPage(entry: URL): Promise<Files> {
  const page = built.get(entry.href) ?? make(entry);
  built.set(entry.href, page);
  return page;
}

async function make(entry: URL): Promise<Files> {
  const made = await build({
    configFile: false,
    logLevel: "error",
    base: "/",
    publicDir: false,
    worker: { format: "es" },
    build: {
      write: false,
      target: "es2022",
      minify: false,
      modulePreload: false,
      rolldownOptions: { input: entry.pathname, output: { entryFileNames: "page.js" } },
    },
  });
  const files: Record<string, string | Uint8Array> = {
    "/index.html":
      '<!doctype html><html lang="en"><title>Test</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script></html>',
  };
  for (const { output } of [made].flat() as Rolldown.RolldownOutput[]) {
    for (const file of output) files[`/${file.fileName}`] = file.type === "chunk" ? file.code : file.source;
  }
  return files;
}

/** A page without a bundler: an import map over the files of packages, as a site would serve them. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SiteOptions } from "./site";

/** Module specifiers and where they are below `node_modules/`; what the README of @trimtab/web tells people to write. */
const IMPORTS: Readonly<Record<string, string>> = {
  "@trimtab/web": "@trimtab/web/dist/index.js",
  "@trimtab/core": "@trimtab/core/dist/index.js",
  "@trimtab/kernels": "@trimtab/kernels/dist/index.js",
  "@trimtab/kernels/reference": "@trimtab/kernels/dist/reference/index.js",
  "@trimtab/kernels/wasm": "@trimtab/kernels/dist/wasm/index.js",
  "@trimtab/kernels/webgpu": "@trimtab/kernels/dist/webgpu/index.js",
  "@trimtab/kernels/conformance": "@trimtab/kernels/dist/conformance/index.js",
  "@cfworker/json-schema": "@cfworker/json-schema/dist/esm/index.js",
  "@huggingface/jinja": "@huggingface/jinja/dist/index.js",
  "@lit/reactive-element": "@lit/reactive-element/reactive-element.js",
  "@lit/reactive-element/": "@lit/reactive-element/",
  comlink: "comlink/dist/esm/comlink.mjs",
  "idb-keyval": "idb-keyval/dist/index.js",
  lit: "lit/index.js",
  "lit/": "lit/",
  "lit-element/": "lit-element/",
  "lit-html": "lit-html/lit-html.js",
  "lit-html/": "lit-html/",
  sortablejs: "sortablejs/modular/sortable.esm.js",
};

/** The `imports` of an import map for packages that are served at `prefix`. */
export function importMap(prefix: string): Record<string, string> {
  return Object.fromEntries(Object.entries(IMPORTS).map(([name, file]) => [name, prefix + file]));
}

const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** What functions in `page.evaluate` find on {@link PLAIN_PAGE}; declare it in a test as `declare const trimtab: PlainGlobal`. */
export type PlainGlobal = typeof import("@trimtab/web");

/** An empty page on which everything of @trimtab/web is `globalThis.trimtab`. */
const PLAIN_PAGE = `<!doctype html>
<html lang="en">
<title>Plain page</title>
<link rel="icon" href="data:,">
<script type="importmap">
${JSON.stringify({ imports: importMap("/node_modules/") }, null, 2)}
</script>
<script type="module" src="/plain-page.js"></script>
</html>`;
const PLAIN_SCRIPT = 'import * as trimtab from "@trimtab/web";\nObject.assign(globalThis, { trimtab });\n';

/** A site with {@link PLAIN_PAGE} and the packages of this repository as they are built. `npm run build:js` first. */
export function plainSite(options: SiteOptions = {}): SiteOptions {
  const packages = Object.fromEntries(
    ["kernels", "core", "web"].map((name) => [`/node_modules/@trimtab/${name}/`, join(repository, "packages", name)]),
  );
  return {
    ...options,
    files: { "/index.html": PLAIN_PAGE, "/plain-page.js": PLAIN_SCRIPT, ...options.files },
    directories: { "/node_modules/": join(repository, "node_modules"), ...packages, ...options.directories },
  };
}

/** A page without a bundler, as the README of @trimtab/web describes it: an import map over the files of packages. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SiteOptions } from "./site";

const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** The import map that the README of @trimtab/web tells people to write: the text between the tags. */
export const IMPORT_MAP = (/<script type="importmap">([^<]*)<\/script>/.exec(
  readFileSync(join(repository, "packages/web/README.md"), "utf8"),
) ?? [])[1] as string;

/** What functions in `page.evaluate` find on {@link PLAIN_PAGE}; declare it in a test as `declare const trimtab: PlainGlobal`. */
export type PlainGlobal = typeof import("@trimtab/web");

/** An empty page on which everything of @trimtab/web is `globalThis.trimtab`. */
const PLAIN_PAGE = `<!doctype html>
<html lang="en">
<title>Plain page</title>
<link rel="icon" href="data:,">
<script type="importmap">${IMPORT_MAP}</script>
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

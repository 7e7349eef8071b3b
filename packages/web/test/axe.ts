/** What axe-core finds on a page of the tests, in light and in dark. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";

const source = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const CONTRAST = "color-contrast";

/** All rules in light, and those of colours in dark: nothing else depends on it. The page is left in light, with reduced motion. */
export async function violations(page: Page, within = "html"): Promise<string[]> {
  const dark = await found(page, "dark", within, { runOnly: [CONTRAST] });
  return [...(await found(page, "light", within, {})), ...dark];
}

async function found(page: Page, colorScheme: "light" | "dark", within: string, options: object): Promise<string[]> {
  await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
  // evaluated by the browser's debugger, which the page's policy does not bind
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(source);
  return page.evaluate(
    async ([scheme, root, rules]) => {
      const { axe } = globalThis as unknown as { readonly axe: typeof import("axe-core") };
      const results = await axe.run(root, { resultTypes: ["violations"], ...rules });
      return results.violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, failureSummary }) => `${scheme}: ${id}: ${JSON.stringify(target)}: ${failureSummary}`),
      );
    },
    [colorScheme, within, options] as const,
  );
}

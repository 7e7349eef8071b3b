/** The studio as `npm run studio` builds and serves it, for tests. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export interface StudioSite {
  readonly url: string;
  close(): Promise<void>;
}

/** Builds the studio from its sources (and the built packages) and serves it with the script that ships. */
export async function serveStudio(): Promise<StudioSite> {
  const directory = await mkdtemp(join(tmpdir(), "trimtab-studio-"));
  await build({ configFile: at("../studio/vite.config.ts"), build: { outDir: directory }, logLevel: "error" });
  const server = spawn(process.execPath, [at("../scripts/serve-studio.mjs"), "--port", "0", "--directory", directory]);
  return {
    url: await printedUrl(server),
    async close() {
      server.kill();
      await rm(directory, { recursive: true });
    },
  };
}

function printedUrl(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    server.stdout?.on("data", (text: Buffer) => {
      const [url] = /http:\S+/.exec(text.toString()) ?? [];
      if (url) resolve(url);
    });
    server.on("exit", (code) => reject(new Error(`serve-studio: it must print its URL, got its end with ${code}.`)));
  });
}

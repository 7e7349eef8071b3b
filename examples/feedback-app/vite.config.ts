/** The page's headers, with which threads may share memory; and the studio's small model, at /model. */
import { defineConfig } from "vite";

const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

export default defineConfig({
  publicDir: "../../packages/web/studio/public",
  build: { target: "es2022" },
  server: { headers },
  preview: { headers },
});

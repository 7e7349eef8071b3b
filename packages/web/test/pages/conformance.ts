/** The page of the conformance test: puts the suite of its worker where the test can call it. */
import { wrap } from "comlink";
import type { ConformanceSuite } from "./conformance-worker";

const worker = new Worker(new URL("./conformance-worker.ts", import.meta.url), { type: "module" });
Object.assign(globalThis, { suite: wrap<ConformanceSuite>(worker) });

/** Worker thread: runs programs that a model wrote in QuickJS, and is ended where one does not stop. */
import { parentPort } from "node:worker_threads";
import variant from "@jitl/quickjs-singlefile-mjs-release-sync";
import { type SandboxRequest, serveSandbox } from "@trimtab/core";
import { newQuickJSWASMModuleFromVariant } from "quickjs-emscripten-core";

const port = parentPort;
if (!port) throw new Error("sandbox-worker: it must be started as a worker thread.");
const answer = serveSandbox(
  () => newQuickJSWASMModuleFromVariant(variant),
  (reply) => port.postMessage(reply),
);
port.on("message", (request: SandboxRequest) => void answer(request));

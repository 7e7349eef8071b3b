/** `trimtab serve`: a model behind OpenAI's API, until Ctrl-C. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { basename, resolve } from "node:path";
import { ConfigError, type Device, type LanguageModel, withAdapterFrom } from "@trimtab/core";
import type { z } from "zod";
import { withDevice } from "../../device";
import { nodeDirectory } from "../../files";
import { apiKeyFrom } from "../../judges/api-key";
import { listenForInterrupt } from "../../run/interrupt";
import { loadModelOf, namedDirectory } from "../../run/named-model";
import { ApiServer, type RequestRecord } from "../../serve/api-server";
import type { serveSchema } from "../schemas/serve";

type Options = z.output<typeof serveSchema>;

export async function runServe(options: Options): Promise<number> {
  const apiKey = keyOf(options);
  return withDevice(options, async (device) => {
    const models = await loadModels(device, options);
    const server = new ApiServer({
      models,
      apiKey,
      corsOrigin: options.corsOrigin,
      maxRows: options.maxBatch,
      maxWaiting: options.maxWaiting,
      cacheBytes: options.cacheBytes,
      stepsPerRead: options.stepsPerRead,
      defaultMaxTokens: options.maxCompletionLength,
      onRequest: options.logRequests ? printRequest : undefined,
    });
    await listening(server, options);
    const { port } = server.http.address() as AddressInfo;
    const host = options.host.includes(":") ? `[${options.host}]` : options.host;
    console.log(`Serving ${[...models.keys()].join(", ")} on ${device.info.name}`);
    console.log(`http://${host}:${port}/v1  (Ctrl-C ends it)`);
    return stopped(server, options.shutdownTimeout);
  });
}

async function listening({ http }: ApiServer, { port, host }: Options): Promise<void> {
  http.listen(port, host);
  try {
    await once(http, "listening");
  } catch (cause) {
    throw new ConfigError(`trimtab serve: --host and --port must be free to listen on, got ${(cause as Error).message}. Try --port 0.`, {
      cause,
    });
  }
}

/** Waits for Ctrl-C and for the requests that are open then. */
async function stopped(server: ApiServer, timeout: number): Promise<number> {
  await new Promise<void>((interrupted) => {
    const interrupt = listenForInterrupt(() => {
      console.log("Finishing open requests; Ctrl-C again ends at once.");
      interrupted();
    });
    server.http.once("close", () => interrupt.dispose());
  });
  await server.close(timeout * 1000);
  return 0;
}

function keyOf({ apiKey, apiKeyVariable }: Options): string | undefined {
  if (apiKey !== undefined && apiKeyVariable !== undefined) {
    throw new ConfigError("trimtab serve: one of --api-key and --api-key-variable must be given, got both. Give one.");
  }
  return apiKeyVariable === undefined ? apiKey : apiKeyFrom(apiKeyVariable);
}

/** The model, and its adapters as views of it. */
async function loadModels(device: Device, options: Options): Promise<Map<string, LanguageModel>> {
  const { modelNameOrPath, servedModelName = basename(resolve(modelNameOrPath)), adapter = [] } = options;
  const base = await loadModelOf(options, device);
  const models = new Map([[servedModelName, base]]);
  for (const given of adapter) {
    const [name = "", directory = ""] = given.split(/=(.*)/s);
    if (models.has(name)) throw new ConfigError(`trimtab serve: names must differ, got ${name} twice. Rename one.`);
    models.set(name, await withAdapterFrom(base, nodeDirectory(await namedDirectory(directory))));
  }
  return models;
}

function printRequest({ method, path, status, elapsedMs, promptTokens, completionTokens, isAborted, error }: RequestRecord): void {
  const tokens = promptTokens > 0 ? `  ${promptTokens} + ${completionTokens} tokens` : "";
  const end = isAborted ? "  the client went away" : "";
  console.log(`${new Date().toISOString()}  ${method} ${path}  ${status}${tokens}  ${(elapsedMs / 1000).toFixed(2)} s${end}`);
  if (status >= 500) console.error(error);
}

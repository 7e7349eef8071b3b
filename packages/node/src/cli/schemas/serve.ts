/** Options of `trimtab serve`. */
import { z } from "zod";
import { count, deviceFields, modelField, precisionFields } from "./fields";

const { device, threads } = deviceFields;

export const serveSchema = z.strictObject({
  ...modelField,
  ...precisionFields,
  servedModelName: z.string().min(1).optional().describe("name that requests call the model; default: its directory's name"),
  adapter: z
    .array(z.string().regex(/^[^=]+=.+$/, "an adapter must be given as name=directory"))
    .optional()
    .describe("serve an adapter of the model under a name of its own: name=directory; may be given several times"),
  device,
  threads,
  host: z.string().min(1).default("127.0.0.1").describe("address to listen on; 0.0.0.0 for every one, and then with an API key"),
  port: z.number().int().min(0).max(65535).default(8000).describe("port to listen on; 0 takes a free one"),
  apiKeyVariable: z.string().min(1).optional().describe("environment variable with the key that requests must bring; default: no key"),
  apiKey: z.string().min(1).optional().describe("the key itself; others on this machine can read command lines"),
  corsOrigin: z.string().min(1).optional().describe("origin whose pages may call, or *; default: none"),
  maxBatch: count().default(32).describe("most completions decoded at once, on wasm at most 32"),
  maxWaiting: z.number().int().min(0).default(256).describe("most completions that may wait for room; more are refused with status 429"),
  maxCompletionLength: count()
    .default(512)
    .meta({ description: "longest answer in tokens of a chat that names no limit", aliases: ["max-new-tokens"] }),
  cacheBytes: count().optional().describe("memory for keys and values of each model; default: half of what is left, in equal shares"),
  stepsPerRead: count().default(1).describe("tokens of each completion between two readbacks; more is faster on a GPU, in larger bursts"),
  shutdownTimeout: z.number().min(0).default(30).describe("seconds that open requests have after Ctrl-C"),
  logRequests: z.boolean().default(true).describe("print a line per request"),
});

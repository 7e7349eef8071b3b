/** The endpoint judge against a server on this machine that answers, refuses, stalls and talks nonsense. */
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EndpointOptions,
  endpointPairwiseJudge,
  endpointRatingJudge,
  JudgeError,
  judgeMetrics,
  memoryCache,
  swapPositions,
} from "@trimtab/core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sha256 } from "../../core/src/judges/sha256";
import { apiKeyFrom } from "../src/judges/api-key";
import { fileJudgeCache } from "../src/judges/file-judge-cache";

interface Seen {
  readonly headers: IncomingMessage["headers"];
  readonly body: { model: string; messages: { content: string }[]; logprobs?: boolean; temperature: number };
}
let seen: Seen[] = [];
let now = 0;
let most = 0;
let respond: (response: ServerResponse, request: Seen, index: number) => void = () => {};

const server = createServer((request, response) => {
  most = Math.max(most, ++now);
  response.on("close", () => now--);
  let text = "";
  request.on("data", (chunk) => {
    text += String(chunk);
  });
  request.on("end", () => {
    expect(request.url).toBe("/v1/chat/completions");
    const record = { headers: request.headers, body: JSON.parse(text) as Seen["body"] };
    seen.push(record);
    respond(response, record, seen.length - 1);
  });
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  [seen, now, most] = [[], 0, 0];
});

type Top = { token: string; logprob: number }[];
const reply = (content: string, top?: Top) => ({
  choices: [{ message: { content }, logprobs: top ? { content: [{ top_logprobs: top }] } : null }],
  usage: { prompt_tokens: 100, completion_tokens: 2 },
});
const json = (response: ServerResponse, value: unknown, status = 200, headers = {}) =>
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
const judge = (options: Partial<EndpointOptions> = {}) => {
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`;
  return endpointPairwiseJudge({ baseUrl, model: "m", retryDelayMs: 1, ...options });
};
const pair = (i = 0) => ({ prompt: `p${i}`, a: "a", b: "b" });

describe("answers", () => {
  it("are probabilities where the server gives log-probabilities", async () => {
    const top = [
      { token: "A", logprob: Math.log(0.6) },
      { token: " B", logprob: Math.log(0.2) },
      { token: "The", logprob: Math.log(0.1) },
    ];
    respond = (response) => json(response, reply("A", top));
    const { values } = await judge({ apiKey: "secret" }).compare([pair()]);
    expect(values[0]).toBeCloseTo(0.75, 12);
    expect(seen[0]?.headers.authorization).toBe("Bearer secret");
    expect(seen[0]?.body).toMatchObject({ model: "m", temperature: 0, logprobs: true });
    expect(seen[0]?.body.messages[0]?.content).toContain("<response_a>\na\n</response_a>");
  });

  it("are read from the text where it does not, and null where there is nothing to read", async () => {
    const texts = ["A", "[[B]]", "[[C]]", "neither"];
    respond = (response, { body }) => json(response, reply(texts[Number(/p(\d)/.exec(body.messages[0]?.content ?? "")?.[1])] as string));
    const { values, statistics } = await judge({ logprobs: false }).compare([0, 1, 2, 3].map(pair));
    expect(values).toEqual([1, 0, 0.5, null]);
    expect(statistics.unanswered).toBe(1);
    expect(seen[0]?.body).not.toHaveProperty("logprobs");
  });

  it("are expected ratings", async () => {
    const top = [
      { token: "7", logprob: Math.log(0.3) },
      { token: "9", logprob: Math.log(0.1) },
    ];
    respond = (response, _, index) => json(response, index === 0 ? reply("7", top) : reply("8/10"));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const rating = endpointRatingJudge({ baseUrl, model: "m", concurrency: 1 });
    const { values } = await rating.rate([0, 1].map((i) => ({ prompt: `p${i}`, completion: "c" })));
    expect(values[0]).toBeCloseTo(7.5, 12);
    expect(values[1]).toBe(8);
  });
});

describe("failures", () => {
  it("are retried: 429 after the time asked for, 5xx, nonsense, and broken connections", async () => {
    const waits: number[] = [];
    let last = 0;
    respond = (response, _, index) => {
      waits.push(performance.now() - last);
      last = performance.now();
      if (index === 0) json(response, {}, 429, { "retry-after": "0.2" });
      else if (index === 1) json(response, {}, 500);
      else if (index === 2) response.end("{ not json");
      else if (index === 3) response.destroy();
      else json(response, reply("B"));
    };
    const { values, statistics } = await judge().compare([pair()]);
    expect(values).toEqual([0]);
    expect(statistics).toMatchObject({ calls: 1, retries: 4 });
    expect(waits[1]).toBeGreaterThan(190);
  });

  it("end in an error without the key, after the retries allowed or at once where a retry cannot help", async () => {
    respond = (response) => json(response, { error: "bad key secret-key" }, 401);
    const refused = judge({ apiKey: "secret-key" }).compare([pair()]);
    await expect(refused).rejects.toBeInstanceOf(JudgeError);
    await expect(refused).rejects.toThrow(/status 401.*bad key \[key\].*after 0 retries/);
    respond = (response) => json(response, {}, 503);
    await expect(judge({ maxRetries: 2 }).compare([pair()])).rejects.toThrow(/status 503.*after 2 retries/);
    respond = (response) => json(response, {}, 429, { "retry-after": "3600" });
    await expect(judge().compare([pair()])).rejects.toThrow(/status 429.*after 0 retries/);
  });

  it("include silence, before the answer and within it", async () => {
    respond = (response, _, index) => {
      if (index === 1) response.writeHead(200).write('{"choices": [');
      else if (index === 2) json(response, reply("A"));
    };
    const { values, statistics } = await judge({ timeoutMs: 150 }).compare([pair()]);
    expect(values).toEqual([1]);
    expect(statistics.retries).toBe(2);
  });

  it("an abort ends at once, also while waiting", async () => {
    respond = (response) => json(response, {}, 429, { "retry-after": "30" });
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 50);
    await expect(judge().compare([pair()], { signal: controller.signal })).rejects.toThrow("enough");
  });
});

describe("economy", () => {
  it("never has more requests under way than allowed", async () => {
    respond = (response) => setTimeout(() => json(response, reply("A")), 10);
    await judge({ concurrency: 3 }).compare(Array.from({ length: 12 }, (_, i) => pair(i)));
    expect(seen).toHaveLength(12);
    expect(most).toBe(3);
  });

  it("asks once for what it knows, and counts the cost", async () => {
    respond = (response) => json(response, reply("A"));
    const cache = memoryCache();
    const price = { promptPerMillion: 5, completionPerMillion: 10 };
    const first = await judge({ cache, price }).compare([pair(), pair(), pair(1)]);
    expect(first.values).toEqual([1, 1, 1]);
    expect(judgeMetrics(first.statistics)).toMatchObject({
      "judge/prompt_tokens": 200,
      "judge/completion_tokens": 4,
      "judge/cost": 0.00104,
    });
    expect(first.statistics).toMatchObject({ calls: 2, cacheHits: 1 });
    const again = await judge({ cache, price }).compare([pair(), pair(1)]);
    expect(again.statistics).toMatchObject({ calls: 0, cacheHits: 2, cost: 0 });
    expect(seen).toHaveLength(2);
    await judge({ cache, parameters: { temperature: 1 } }).compare([pair()]);
    expect(seen).toHaveLength(3);
  });

  it("remembers on disk, whole answers only", async () => {
    respond = (response) => json(response, reply("A"));
    const folder = mkdtempSync(join(tmpdir(), "trimtab-judge-"));
    try {
      const directory = join(folder, "cache");
      const asked = Array.from({ length: 4 }, (_, i) => pair(i));
      await judge({ cache: fileJudgeCache(directory) }).compare(asked);
      const again = await judge({ cache: fileJudgeCache(directory) }).compare(asked);
      expect(again).toMatchObject({ values: [1, 1, 1, 1], statistics: { calls: 0, cacheHits: 4 } });
      const names = readdirSync(directory);
      expect(names).toHaveLength(4);
      for (const name of names) expect(name).toMatch(/^[0-9a-f]{64}\.json$/);
      writeFileSync(join(directory, names[0] as string), "{");
      expect((await judge({ cache: fileJudgeCache(directory) }).compare(asked)).statistics).toMatchObject({ calls: 1, cacheHits: 3 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("takes its key from the environment, and says only that it is missing", () => {
    process.env.TRIMTAB_TEST_KEY = "secret";
    expect(apiKeyFrom("TRIMTAB_TEST_KEY")).toBe("secret");
    delete process.env.TRIMTAB_TEST_KEY;
    expect(() => apiKeyFrom("TRIMTAB_TEST_KEY")).toThrow(/TRIMTAB_TEST_KEY must hold/);
  });

  it("cancels its order bias", async () => {
    respond = (response) => json(response, reply("A"));
    const { values, statistics } = await swapPositions(judge()).compare([pair()]);
    expect(values).toEqual([0.5]);
    expect(judgeMetrics(statistics)).toMatchObject({ "judge/disagreement": 1, "judge/position_bias": 0.5 });
  });
});

it("hashes as the standard does", () => {
  for (const text of ["", "abc", "a".repeat(55), "b".repeat(56), "\u00fc\u{1f600}".repeat(100)]) {
    expect(sha256(text)).toBe(createHash("sha256").update(text).digest("hex"));
  }
});

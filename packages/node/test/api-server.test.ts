/** The server as OpenAI's own client sees it, and as clients that misbehave do. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type Device, generate, type LanguageModel, newLanguageModel, Tokenizer } from "@trimtab/core";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDevice } from "../src/device";
import { ApiServer, type RequestRecord } from "../src/serve/api-server";

/** Names a tool where there is one: what makes the server read calls. */
const TEMPLATE =
  "{% for tool in tools or [] %}<tool_call>{{ tool.function.name }}{% endfor %}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.arguments.city }}{% endfor %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

let device: Device;
let model: LanguageModel;
let server: ApiServer;
let url: string;
let client: OpenAI;
const records: RequestRecord[] = [];

beforeAll(async () => {
  device = await createDevice("wasm", { threads: 1, relaxed: false });
  const trained = Tokenizer.train(["the cat sat on the mat and the dog sat on the log"], { vocabSize: 300 });
  const tokenizer = Tokenizer.fromJSON(trained.toJSON(), { ...trained.toConfigJSON(), chat_template: TEMPLATE });
  model = newLanguageModel(device, { hiddenSize: 16, layers: 2, heads: 2, maxPositions: 256, initializerRange: 0.4 }, tokenizer, 3);
  server = new ApiServer({
    models: new Map([
      ["tiny", model],
      ["twin", model],
    ]),
    apiKey: "secret",
    corsOrigin: "https://example.org",
    maxRows: 4,
    maxWaiting: 6,
    cacheBytes: 2 << 20,
    onRequest: (record) => records.push(record),
  });
  server.http.listen(0, "127.0.0.1");
  await once(server.http, "listening");
  url = `http://127.0.0.1:${(server.http.address() as AddressInfo).port}`;
  client = new OpenAI({ apiKey: "secret", baseURL: `${url}/v1`, maxRetries: 0 });
});
afterAll(async () => {
  await server.close();
  await device.destroy();
});

const fixed = { model: "tiny", temperature: 0.8, seed: 7, max_tokens: 12 } as const;
const conversation = [
  { role: "system", content: "the cat" },
  { role: "user", content: [{ type: "text", text: "sat on the mat" }] },
] satisfies OpenAI.ChatCompletionMessageParam[];
const rendered = "[system]the cat[user]sat on the mat[assistant]";
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${url}${path}`, {
    method: "POST",
    headers: { authorization: "Bearer secret", "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

/** What the library itself makes of a text. */
async function expected(prompt: string, options: { n?: number; maxNewTokens?: number } = {}) {
  const tokens = model.tokenizer.encode(prompt, { addSpecialTokens: false });
  return generate({ model, prompts: [tokens], maxNewTokens: 12, temperature: 0.8, seed: 7, ...options });
}

describe("the API", () => {
  it("lists models", async () => {
    const names: string[] = [];
    for await (const { id } of client.models.list()) names.push(id);
    expect(names).toEqual(["tiny", "twin"]);
    expect(await client.models.retrieve("twin")).toMatchObject({ id: "twin", object: "model" });
    await expect(client.models.retrieve("other")).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });

  it("completes as the library does, whole and streamed", async () => {
    const wanted = await expected("the cat", { n: 2 });
    const whole = await client.completions.create({ ...fixed, prompt: "the cat", n: 2 });
    expect(whole.choices.map(({ index, text, finish_reason }) => ({ index, text, finish_reason }))).toEqual(
      wanted.map(({ sampleIndex, text, finishReason }) => ({
        index: sampleIndex,
        text,
        finish_reason: finishReason === "length" ? "length" : "stop",
      })),
    );
    const used = wanted.reduce((sum, { tokens }) => sum + tokens.length, 0);
    expect(whole.usage).toEqual({ prompt_tokens: 4, completion_tokens: used, total_tokens: 4 + used });
    const texts = ["", ""];
    let usage: unknown;
    const stream = await client.completions.create({
      ...fixed,
      prompt: "the cat",
      n: 2,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      usage = chunk.usage ?? usage;
      for (const { index, text } of chunk.choices) texts[index] += text;
    }
    expect(texts).toEqual(wanted.map(({ text }) => text));
    expect(usage).toEqual(whole.usage);
  });

  it("takes several prompts, as text or tokens, in one request", async () => {
    const tokens = ["the cat", "the dog sat"].map((text) => [...model.tokenizer.encode(text)]);
    const [asText, asTokens] = await Promise.all([
      client.completions.create({ ...fixed, prompt: ["the cat", "the dog sat"] }),
      client.completions.create({ ...fixed, prompt: tokens }),
    ]);
    expect(asText.choices.map(({ index }) => index)).toEqual([0, 1]);
    expect(asTokens.choices).toEqual(asText.choices);
  });

  it("answers conversations through the model's template, whole and streamed", async () => {
    const [wanted] = await expected(rendered);
    const whole = await client.chat.completions.create({ ...fixed, messages: conversation });
    expect(whole).toMatchObject({
      object: "chat.completion",
      model: "tiny",
      choices: [{ message: { role: "assistant", content: wanted?.text }, finish_reason: "length", logprobs: null }],
    });
    const stream = client.chat.completions.stream({ ...fixed, messages: conversation });
    expect((await stream.finalChatCompletion()).choices[0]?.message.content).toBe(wanted?.text);
    expect(whole.usage?.prompt_tokens).toBe(model.tokenizer.encode(rendered).length);
  });

  it("ends where a stop string does", async () => {
    const [wanted] = await expected("the cat");
    const stop = wanted?.text.slice(3, 5) as string;
    const { choices } = await client.completions.create({ ...fixed, prompt: "the cat", stop });
    expect(choices[0]).toMatchObject({ text: wanted?.text.slice(0, wanted.text.indexOf(stop)), finish_reason: "stop" });
  });

  it("reports log-probabilities in both forms", async () => {
    const [wanted] = await expected(rendered);
    const { choices } = await client.chat.completions.create({ ...fixed, messages: conversation, logprobs: true, top_logprobs: 3 });
    const content = choices[0]?.logprobs?.content ?? [];
    expect(content).toHaveLength(12);
    content.forEach(({ logprob, bytes, top_logprobs: top }, t) => {
      expect(logprob).toBeCloseTo(wanted?.logps[t] as number, 4);
      expect(bytes).toEqual([...(model.tokenizer.tokenBytes(wanted?.tokens[t] as number) ?? [])]);
      expect(top.map(({ logprob: other }) => other)).toEqual(top.map(({ logprob: other }) => other).toSorted((a, b) => b - a));
      expect(top).toHaveLength(3);
    });
    const whole = (await client.completions.create({ ...fixed, prompt: "the cat", logprobs: 2 })).choices[0]?.logprobs;
    const parts = { tokens: [] as string[], offsets: [] as number[] };
    for await (const {
      choices: [choice],
    } of await client.completions.create({ ...fixed, prompt: "the cat", logprobs: 2, stream: true })) {
      parts.tokens.push(...(choice?.logprobs?.tokens ?? []));
      parts.offsets.push(...(choice?.logprobs?.text_offset ?? []));
    }
    expect(parts).toEqual({ tokens: whole?.tokens, offsets: whole?.text_offset });
    expect(whole?.text_offset?.slice(0, 2)).toEqual([0, whole?.tokens?.[0]?.length]);
    expect(Object.keys(whole?.top_logprobs?.[0] ?? {})).toHaveLength(2);
  });

  it("gives everyone their own answer when many ask at once, and lets no more wait than it may", async () => {
    const prompts = ["the cat", "the dog", "on the mat", "sat", "and the log", "the mat sat", "dog", "log", "mat"];
    const apart = [];
    for (const prompt of prompts) apart.push((await client.completions.create({ ...fixed, prompt })).choices[0]?.text);
    const together = await Promise.all(prompts.map((prompt) => client.completions.create({ ...fixed, prompt })));
    expect(together.map(({ choices }) => choices[0]?.text)).toEqual(apart);
    expect(server.scheduler("tiny")?.stats.peakRows).toBe(4);
    const many = await Promise.allSettled(
      Array.from({ length: 14 }, () => client.completions.create({ ...fixed, prompt: "the", max_tokens: 60 })),
    );
    const refusedOnes = many.filter((result) => result.status === "rejected");
    expect(refusedOnes.length).toBe(4);
    for (const { reason } of refusedOnes) expect(reason).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
  });

  it("holds answers to a schema, an object, or an expression", async () => {
    const schema = { type: "object", properties: { age: { type: "integer" }, ok: { type: "boolean" } }, required: ["age", "ok"] };
    const response_format = { type: "json_schema", json_schema: { name: "person", schema } } as const;
    const asked = { ...fixed, max_tokens: 100, messages: conversation, response_format };
    const [whole, many] = await Promise.all([
      client.chat.completions.create({ ...asked, n: 2 }),
      client.chat.completions.stream(asked).finalChatCompletion(),
    ]);
    for (const { message, finish_reason } of [...whole.choices, ...many.choices]) {
      expect(finish_reason).toBe("stop");
      expect(JSON.parse(message.content as string)).toEqual({ age: expect.any(Number), ok: expect.any(Boolean) });
    }
    const { choices } = await client.chat.completions.create({
      ...fixed,
      messages: conversation,
      response_format: { type: "json_object" },
    });
    expect(choices[0]?.message.content).toMatch(/^\{/);
    const guided = await post("/v1/completions", { ...fixed, prompt: "the", guided_regex: "(cat|dog)s?!" });
    expect(await guided.json()).toMatchObject({ choices: [{ text: expect.stringMatching(/^(cat|dog)s?!$/), finish_reason: "stop" }] });
    const refused = { ...response_format, json_schema: { name: "x", schema: { not: {} } } };
    await expect(client.chat.completions.create({ ...fixed, messages: conversation, response_format: refused })).rejects.toMatchObject({
      status: 400,
      code: "unsupported_schema",
      param: "response_format",
    });
  });

  it("draws anew without a seed", async () => {
    const texts = await Promise.all([0, 1].map(() => client.completions.create({ model: "tiny", prompt: "the", max_tokens: 20 })));
    expect(texts[0]?.choices[0]?.text).not.toBe(texts[1]?.choices[0]?.text);
  });

  it("takes a request out when its client goes away", async () => {
    const stream = await client.completions.create({ ...fixed, prompt: "the cat", max_tokens: 250, stream: true });
    for await (const _ of stream) break;
    const controller = new AbortController();
    const whole = client.completions.create({ ...fixed, prompt: "the cat", max_tokens: 250 }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(whole).rejects.toThrow();
    await expect.poll(() => server.scheduler("tiny")?.stats).toMatchObject({ running: 0, waiting: 0 });
    await expect.poll(() => records.slice(-2).map(({ isAborted }) => isAborted)).toEqual([true, true]);
    expect(records.at(-1)?.completionTokens).toBeLessThan(250);
  });

  it("shows tools to the model, and says when it cannot", async () => {
    const tools = [
      { type: "function", function: { name: "weather", parameters: { type: "object" } } },
    ] satisfies OpenAI.ChatCompletionTool[];
    const history: OpenAI.ChatCompletionMessageParam[] = [
      { role: "user", content: "?" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "1", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } }],
      },
      { role: "tool", tool_call_id: "1", content: "sun" },
    ];
    const { usage } = await client.chat.completions.create({ ...fixed, messages: history, tools });
    expect(usage?.prompt_tokens).toBe(model.tokenizer.encode("<tool_call>weather[user]?[assistant]Rome[tool]sun[assistant]").length);
    await expect(client.chat.completions.create({ ...fixed, messages: history, tools, tool_choice: "required" })).rejects.toMatchObject({
      status: 400,
      param: "tool_choice",
    });
  });

  it.each([
    [400, { temperature: 3 }, "temperature", null],
    [400, { stop: [""] }, "stop.0", null],
    [400, { frequency_penalty: 1 }, "frequency_penalty", "unsupported_parameter"],
    [400, { logit_bias: { 5: 1 } }, "logit_bias", "unsupported_parameter"],
    [400, { echo: true }, "echo", "unsupported_parameter"],
    [400, { colour: "red" }, "colour", "unsupported_parameter"],
    [400, { max_tokens: 0 }, "max_tokens", null],
    [400, { max_tokens: 255 }, "prompt", "context_length_exceeded"],
    [400, { prompt: "" }, null, null],
    [400, { prompt: [999999] }, null, null],
    [404, { model: "other" }, "model", "model_not_found"],
  ])("answers %i to %j", async (status, change, param, code) => {
    const response = await post("/v1/completions", { ...fixed, prompt: "the cat", ...change });
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error: { message: expect.any(String), type: "invalid_request_error", param, code } });
  });

  it("refuses what is not a request", async () => {
    const statuses = async (...responses: Promise<Response>[]) => (await Promise.all(responses)).map(({ status }) => status);
    expect(
      await statuses(
        post("/v1/completions", "{"),
        post("/v1/completions", "[]"),
        post("/v1/completions", {}, { "content-type": "text/plain" }),
        post("/v1/completions", `"${"x".repeat(9 << 20)}"`),
        post("/v1/embeddings", {}),
        fetch(`${url}/v1/completions`, { headers: { authorization: "Bearer secret" } }),
        fetch(`${url}/v1/models`, { headers: { authorization: "Bearer wrong" } }),
        fetch(`${url}/v1/models`),
        fetch(`${url}/health`),
      ),
    ).toEqual([400, 400, 415, 413, 404, 405, 401, 401, 200]);
    await expect(
      client.chat.completions.create({ ...fixed, messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "" } }] }] }),
    ).rejects.toMatchObject({ status: 400, param: "messages.0.content" });
  });

  it("lets pages of one origin call", async () => {
    const preflight = await fetch(`${url}/v1/completions`, { method: "OPTIONS" });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, "https://example.org"]);
  });
});

/** The studio without its page: sessions, steps, prompts, questions, rules, and what is exported. */
import { unzipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { readSessionJson, sessionJson } from "../studio/export/session-file";
import { zipFiles } from "../studio/export/zip";
import { FeedbackSessions } from "../studio/feedback-sessions";
import { byPrompt, promptOf, promptRow, readPrompts } from "../studio/prompts";
import { newQuestions } from "../studio/questions";
import { ruleJudge } from "../studio/rules";
import { newSession, revived } from "../studio/session";
import { nextStep, stepsOf } from "../studio/steps";
import { type Session, Store, type StudioCompletion, type StudioModel, type StudioRun, type StudioState } from "../studio/store";
import { bytes, quantity } from "../studio/wording";

const model: StudioModel = {
  id: "m",
  name: "Speeches",
  kind: "lm",
  origin: "bundled",
  parameterCount: 430752,
  contextLength: 256,
  hasChatTemplate: false,
  place: { url: "https://site.test/model/" },
  createdAt: 1,
};

const run: StudioRun = {
  id: "r",
  name: "GRPO 1",
  setup: { algorithm: "grpo", modelId: "m", rewards: [{ rule: "length" }], options: { maxSteps: 9 }, rows: [{ prompt: "a" }] },
  status: "running",
  maxSteps: 9,
  history: [1, 2, 3, 4].map((step) => ({ step, metrics: { reward: step } })),
  samples: [1, 4].map((step) => ({ step, samples: [] })),
  checkpoint: { step: 3, place: { storage: "studio/s/runs/r/a" } },
  createdAt: 1,
  elapsedMs: 10,
};

const completion = (promptId: string, text: string): StudioCompletion => ({
  id: text,
  promptId,
  modelId: "m",
  text,
  temperature: 1,
  seed: 0,
  finishReason: "stop",
});

const session = (fields: Partial<Session>): Session => ({ ...newSession("A session", 1), ...fields });

const stateOf = (open: Session) => ({ session: open }) as StudioState;

describe("steps", () => {
  it("lead from the model to the export, each done when there is something of it", () => {
    const prompt = promptOf("Peace");
    expect(nextStep(stateOf(session({}))).view).toBe("model");
    expect(nextStep(stateOf(session({ models: [model], modelId: "m" }))).view).toBe("prompts");
    const sampled = session({ models: [model], modelId: "m", prompts: [prompt], completions: [completion(prompt.id, " is good.")] });
    expect(nextStep(stateOf(sampled)).view).toBe("feedback");
    const answered = new FeedbackSessions(sampled.feedback, () => {});
    answered.of("thumbs").add({ kind: "thumbs", prompt: "Peace", completions: [{ content: " is good." }] });
    answered.of("thumbs").as("me").skip();
    const skippedOnly = { ...sampled, feedback: { ...sampled.feedback, thumbs: answered.of("thumbs").toJSON() } };
    expect(nextStep(stateOf(skippedOnly)).view).toBe("feedback");
    answered.of("thumbs").as("me").undo();
    answered.of("thumbs").as("me").answer({ kind: "thumbs", liked: true });
    const rated = { ...sampled, feedback: { ...sampled.feedback, thumbs: answered.of("thumbs").toJSON() } };
    expect(nextStep(stateOf(rated)).view).toBe("train");
    expect(nextStep(stateOf({ ...rated, runs: [{ ...run, status: "finished" }] })).view).toBe("export");
    expect(stepsOf(stateOf({ ...rated, runs: [run] })).find(({ view }) => view === "train")?.status).toBe("GRPO 1, running");
  });
});

describe("a session that comes back", () => {
  it("has a run that was going paused at its checkpoint, without what it did since", () => {
    const [back] = revived(session({ runs: [run] })).runs;
    expect(back?.status).toBe("paused");
    expect(back?.history.map(({ step }) => step)).toEqual([1, 2, 3]);
    expect(back?.samples.map(({ step }) => step)).toEqual([1]);
  });

  it("has a run failed that had no checkpoint, and finished ones as they were", () => {
    const finished: StudioRun = { ...run, id: "f", status: "finished" };
    const [lost, kept] = revived(session({ runs: [{ ...run, checkpoint: undefined }, finished] })).runs;
    expect(lost?.status).toBe("failed");
    expect(lost?.error).toMatch(/before the first checkpoint/);
    expect(kept).toBe(finished);
  });

  it("has only models that can be read again, and one of them chosen", () => {
    const gone = { ...model, id: "gone", place: undefined };
    const back = revived(session({ models: [gone, model], modelId: "gone" }));
    expect(back.models).toEqual([model]);
    expect(back.modelId).toBe("m");
  });
});

describe("prompts", () => {
  it("come from lines of text", () => {
    const read = readPrompts("Peace\r\n\n  Two\\nlines \n", "prompts.txt");
    expect(read.map(({ prompt }) => prompt)).toEqual(["Peace", "Two\nlines"]);
  });

  it("come from JSON Lines with their other columns, and from conversations up to the last question", () => {
    const turns = [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
      { role: "user", content: "Why?" },
    ];
    const rows = [{ prompt: "2 + 2 =", answer: "4" }, { messages: [...turns, { role: "assistant", content: "Because." }] }];
    const read = readPrompts(rows.map((row) => JSON.stringify(row)).join("\n"), "rows.jsonl");
    expect(read.map(promptRow)).toEqual([{ prompt: "2 + 2 =", answer: "4" }, { prompt: turns }]);
  });

  it("are refused with the line that has none", () => {
    expect(() => readPrompts('{"prompt": "a"}\n{"text": "b"}', "rows.jsonl")).toThrow("rows.jsonl:2: a row must have a prompt");
  });
});

describe("questions", () => {
  const prompts = [promptOf("One"), promptOf("Two")] as const;
  const open = session({
    prompts,
    completions: [
      ...["a", "b", "c", "c", " "].map((text) => completion(prompts[0].id, text)),
      ...["d", "e", "f", "g", "h"].map((text) => completion(prompts[1].id, text)),
    ],
  });
  const asked = (kind: Parameters<typeof newQuestions>[0]) => {
    const feedback = new FeedbackSessions(open.feedback, () => {}).of(kind);
    const questions = newQuestions(kind, open, feedback);
    feedback.add(...questions);
    expect(newQuestions(kind, open, feedback)).toEqual([]);
    return questions.map(({ completions }) => completions.map(({ content }) => content));
  };

  it("compare every completion once, without empty ones and with nothing equal", () => {
    expect(asked("pair")).toEqual([
      ["a", "b"],
      ["d", "e"],
      ["f", "g"],
    ]);
  });

  it("rank at most four at a time", () => {
    expect(asked("ranking")).toEqual([
      ["a", "b", "c"],
      ["d", "e", "f", "g"],
    ]);
  });

  it("ask about each completion, or for one to be written", () => {
    expect(asked("thumbs").flat()).toEqual(["a", "b", "c", "c", "d", "e", "f", "g", "h"]);
    expect(asked("demonstration")).toEqual([[], []]);
  });

  it("group completions by prompt, in order", () => {
    expect(
      byPrompt(open.completions)
        .get(prompts[1].id)
        ?.map(({ text }) => text),
    ).toEqual(["d", "e", "f", "g", "h"]);
  });
});

describe("rules", () => {
  const rate = async (settings: Parameters<typeof ruleJudge>[0], ...texts: string[]) =>
    (await ruleJudge(settings).rate(texts.map((completion) => ({ prompt: "p", completion })))).values;
  const none = { words: 4, list: "" };

  it("count different welcome words, up to three", async () => {
    const settings = { ...none, rule: "words", list: "Peace, hope joy,love" } as const;
    expect(await rate(settings, "Peace! Peace.", "hope and joy, peace, love", "war")).toEqual([1 / 3, 1, 0]);
  });

  it("prefer a length", async () => {
    expect(await rate({ ...none, rule: "length" }, "a b c d", "a b", "a b c d e f g h i")).toEqual([1, 0.5, 0]);
  });

  it("are another rater with other settings", () => {
    const names = [
      { ...none, rule: "length" } as const,
      { ...none, words: 5, rule: "length" } as const,
      { ...none, list: "joy", rule: "words" } as const,
    ].map((settings) => ruleJudge(settings).name);
    expect(names).toEqual(["rule: near a length (4 words)", "rule: near a length (5 words)", "rule: words from a list (joy)"]);
  });

  it("count neighbouring words that occur once", async () => {
    // "the end the end": the end, end the, the end: two different of three
    expect(await rate({ ...none, rule: "repetition" }, "the end the end", "one two three", "one")).toEqual([2 / 3, 1, 0]);
  });
});

describe("datasets", () => {
  it("hold what was said in their own terms, else what follows from the rest", () => {
    const feedback = new FeedbackSessions(newSession("s", 1).feedback, () => {});
    feedback.of("pair").add({ kind: "pair", prompt: "p", completions: [{ content: "a" }, { content: "b" }] });
    feedback.of("pair").as("me").answer({ kind: "pair", choice: 1 });
    expect(feedback.datasets().preference).toMatchObject([{ prompt: "p", chosen: "b", rejected: "a" }]);
    expect(feedback.datasets().unpaired).toMatchObject([
      { completion: "b", label: true },
      { completion: "a", label: false },
    ]);
    feedback.of("thumbs").add({ kind: "thumbs", prompt: "p", completions: [{ content: "c" }] });
    feedback.of("thumbs").as("me").answer({ kind: "thumbs", liked: false });
    expect(feedback.datasets().unpaired).toMatchObject([{ completion: "c", label: false }]);
  });

  it("tells of the changes of a microtask at once, with all sessions as JSON", async () => {
    const told: Session["feedback"][] = [];
    const feedback = new FeedbackSessions(newSession("s", 1).feedback, (json) => told.push(json));
    feedback.of("stars").add({ kind: "stars", prompt: "p", completions: [{ content: "a" }] });
    feedback.of("demonstration").add({ kind: "demonstration", prompt: "p", completions: [] });
    expect(told).toEqual([]);
    await Promise.resolve();
    feedback.of("stars").as("me").answer({ kind: "stars", rating: 4 });
    await Promise.resolve();
    expect(told[1]?.stars).toEqual(feedback.of("stars").toJSON());
    expect(told.map(({ stars, demonstration }) => [stars.items.length, demonstration.items.length])).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });
});

describe("exports", () => {
  it("a session, which comes back under another id with the models that a URL finds", () => {
    const stored = { ...model, id: "stored", place: { storage: "studio/s/models/stored" } };
    const open = session({ models: [model, stored], modelId: "stored", prompts: [promptOf("Peace")], runs: [run] });
    const back = readSessionJson(sessionJson(open));
    expect(back.id).not.toBe(open.id);
    expect(back.prompts).toEqual(open.prompts);
    expect(back.models).toEqual([model]);
    expect(back.modelId).toBe("m");
    expect(back.runs[0]).toMatchObject({ status: "failed", history: run.history });
    expect(back.runs[0]?.checkpoint).toBeUndefined();
  });

  it("refuses a file that is no session", () => {
    expect(() => readSessionJson("Peace")).toThrow("got no JSON");
    expect(() => readSessionJson('{"format": "letters"}')).toThrow('got "letters"');
  });

  it("files as a zip that others read", async () => {
    const large = Uint8Array.from({ length: (4 << 20) + 3 }, (_, i) => i % 251);
    const files = new Map([
      ["config.json", new TextEncoder().encode("{}")],
      ["empty", new Uint8Array(0)],
      ["model.safetensors", large],
    ]);
    const zip = unzipSync(new Uint8Array(await (await zipFiles(files, "speeches")).arrayBuffer()));
    expect(Object.keys(zip)).toEqual(["speeches/config.json", "speeches/empty", "speeches/model.safetensors"]);
    expect(new TextDecoder().decode(zip["speeches/config.json"])).toBe("{}");
    expect(Buffer.from(zip["speeches/model.safetensors"] as Uint8Array).equals(large)).toBe(true);
  });
});

describe("the store", () => {
  it("tells listeners of every change until they leave", () => {
    const store = new Store({ a: 1, b: "x" });
    const heard: number[] = [];
    const leave = store.subscribe(({ a }) => heard.push(a));
    store.update(({ a }) => ({ a: a + 1 }));
    store.update(() => ({ b: "y" }));
    leave();
    store.update(() => ({ a: 9 }));
    expect(heard).toEqual([2, 2]);
    expect(store.state).toEqual({ a: 9, b: "y" });
  });
});

describe("wording", () => {
  it("says sizes and numbers in three digits", () => {
    expect([0, 999, 999_600, 864_504, 10_700_000_000].map(bytes)).toEqual(["0 bytes", "999 bytes", "1 MB", "865 KB", "10.7 GB"]);
    expect([7, 430_752, 1_240_000_000].map(quantity)).toEqual(["7", "431 thousand", "1.24 billion"]);
  });
});

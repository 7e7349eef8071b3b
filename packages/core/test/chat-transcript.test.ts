/** Conversations of an episode: only what a template puts between two actions becomes tokens, and it must be what a whole rendering has. */
import { existsSync, readFileSync } from "node:fs";
import { createReferenceDevice } from "@trimtab/kernels/reference";
import { describe, expect, test } from "vitest";
import type { Message } from "../src/data/formats";
import { type EncodedPrompt, tokenizePrompts } from "../src/data/tokenize";
import { ChatTranscript } from "../src/environments/chat-transcript";
import { environmentRollout } from "../src/environments/environment-rollout";
import type { TranscriptOptions } from "../src/environments/transcript";
import { ConfigError, DataError } from "../src/errors";
import { Tokenizer } from "../src/tokenizer/tokenizer";
import { byteTokenizer, tinyModel } from "./trainer-model";

const END = "<|im_end|>";
const eos = Tokenizer.train(["abc"], { vocabSize: 259, specialTokens: ["<|im_start|>", END], eosToken: END });
const withTemplate = (chat_template: string) => Tokenizer.fromJSON(eos.toJSON(), { ...eos.toConfigJSON(), chat_template });

const chatml =
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
/** Trims every turn and leaves out the thoughts of all but the last, as templates of thinking models do. */
const forgetful = `{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('</think>')[-1] | trim }}{% else %}{{ m.content | trim }}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;
const alternating = `{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}[{{ m.role }}]{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}`;
const counting = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ messages | length }}{% endfor %}";

const ask: Message[] = [{ role: "user", content: "Guess." }];

function open(template: string, prompt: readonly Message[] = ask, options: TranscriptOptions = {}, columns: Record<string, unknown> = {}) {
  const tokenizer = withTemplate(template);
  const [row] = tokenizePrompts([{ prompt, ...columns }], tokenizer, 999) as [EncodedPrompt];
  return { tokenizer, row, transcript: new ChatTranscript(prompt, row, tokenizer, options) };
}
const eosId = eos.eosTokenId as number;

describe("between two actions", () => {
  test("stands what the template writes there; the action's own EOS is not repeated", () => {
    const { tokenizer, row, transcript } = open(chatml);
    expect(transcript.open(undefined)).toBe(row.tokens);
    transcript.act("5");
    const between = transcript.observe("higher", eosId);
    expect(tokenizer.decode(between, { skipSpecialTokens: false })).toBe("\n<|im_start|>user\nhigher<|im_end|>\n<|im_start|>assistant\n");
    transcript.act("7");
    // Cut by a stop string or a limit: the turn is closed for the policy.
    const closed = transcript.observe("lower", undefined);
    expect(tokenizer.decode(closed, { skipSpecialTokens: false })).toBe(
      "<|im_end|>\n<|im_start|>user\nlower<|im_end|>\n<|im_start|>assistant\n",
    );
    transcript.act("6");
    const { prompt, completion } = transcript.turns();
    expect(prompt).toEqual(ask);
    expect(completion).toEqual(
      ["5", "higher", "7", "lower", "6"].map((content, i) => ({ role: i % 2 === 0 ? "assistant" : "user", content })),
    );
    // Put together by hand, the pieces are the template's own rendering of the whole.
    const whole = tokenizer.encode(
      `<|im_start|>user\nGuess.<|im_end|>\n<|im_start|>assistant\n5<|im_end|>\n<|im_start|>user\nhigher<|im_end|>\n<|im_start|>assistant\n7`,
    );
    expect([...row.tokens, ...tokenizer.encode("5"), eosId, ...between, ...tokenizer.encode("7")]).toEqual([...whole]);
  });

  test("a template that shows earlier turns otherwise changes nothing of what was sampled", () => {
    const { tokenizer, transcript } = open(forgetful);
    transcript.open(undefined);
    transcript.act("<think>hm</think>\n\n  5 \n");
    expect(tokenizer.decode(transcript.observe("  higher", eosId), { skipSpecialTokens: false })).toBe(
      "\n<|im_start|>user\nhigher<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("another EOS than the template's stays beside it", () => {
    const { tokenizer, transcript } = open(chatml);
    transcript.open(undefined);
    transcript.act("5");
    expect(tokenizer.decode(transcript.observe("x", 3), { skipSpecialTokens: false }).startsWith(END)).toBe(true);
  });

  test("a first observation goes into the prompt's last message, so that roles alternate", () => {
    const { tokenizer, transcript } = open(alternating);
    expect(tokenizer.decode(transcript.open("1 to 9."), { skipSpecialTokens: false })).toBe("[user]Guess.\n1 to 9.<|im_end|>[assistant]");
    transcript.act("5");
    expect(tokenizer.decode(transcript.observe("higher", eosId), { skipSpecialTokens: false })).toBe("[user]higher<|im_end|>[assistant]");
    expect(transcript.turns().prompt).toEqual([{ role: "user", content: "Guess.\n1 to 9." }]);
    transcript.act("6");
    expect(() =>
      transcript.observe(
        [
          { role: "user", content: "a" },
          { role: "user", content: "b" },
        ],
        eosId,
      ),
    ).toThrow(/template must accept the messages.*roles must alternate/);
  });

  test("an action may continue a message of the prompt, and observations may be several messages", () => {
    const { tokenizer, row, transcript } = open(chatml, ask, {
      renderObservation: (text) => [
        { role: "tool", content: text },
        { role: "user", content: "Again." },
      ],
    });
    expect(transcript.open([{ role: "system", content: "Be brief." }])).not.toBe(row.tokens);
    transcript.act("5");
    expect(tokenizer.decode(transcript.observe("4", eosId), { skipSpecialTokens: false })).toBe(
      "\n<|im_start|>tool\n4<|im_end|>\n<|im_start|>user\nAgain.<|im_end|>\n<|im_start|>assistant\n",
    );
    const started = open(chatml, [...ask, { role: "assistant", content: "It is" }]);
    started.transcript.open(undefined);
    started.transcript.act(" 5");
    expect(started.tokenizer.decode(started.transcript.observe("no", eosId), { skipSpecialTokens: false })).toBe(
      "\n<|im_start|>user\nno<|im_end|>\n<|im_start|>assistant\n",
    );
  });

  test("tools of the row reach the template", () => {
    const { tokenizer, transcript } = open(
      "{% for m in messages %}{% if m.role == 'assistant' %}{{ tools | length }}{% endif %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}{{ tools | length }}{% endif %}",
      ask,
      {},
      { tools: [{}, {}] },
    );
    transcript.open(undefined);
    transcript.act("5");
    expect(tokenizer.decode(transcript.observe("x", undefined))).toBe("x2");
  });

  test("templates that cannot serve are typed errors", () => {
    const { transcript } = open(counting);
    transcript.open(undefined);
    transcript.act("5");
    expect(() => transcript.observe("x", undefined)).toThrow(DataError);
    expect(() => transcript.observe("x", undefined)).toThrow(/must not change with what follows/);
    const blind = open("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}");
    blind.transcript.act("5");
    expect(() => blind.transcript.observe("x", undefined)).toThrow(/show every action.*got "no action"/);
    expect(() => new ChatTranscript(ask, blind.row, byteTokenizer, {})).toThrow(ConfigError);
  });
});

test("a conversation is played token for token", async () => {
  const tokenizer = Tokenizer.fromJSON(byteTokenizer.toJSON(), {
    ...byteTokenizer.toConfigJSON(),
    chat_template:
      "{% for m in messages %}[{{ m.role[0] }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[a]{% endif %}",
  });
  const model = { ...tinyModel(createReferenceDevice(), { initializerRange: 0.3 }), tokenizer };
  const rows = tokenizePrompts([{ prompt: [{ role: "user", content: "hi" }] }], tokenizer, 40);
  const actions: [number[], string][] = [];
  const rollout = environmentRollout(
    () => ({
      reset: () => null,
      step(action, { tokens }) {
        actions.push([[...tokens], action]);
        return { observation: "no", done: actions.length === 3 };
      },
    }),
    { maxActionTokens: 4 },
  );
  const [completion] = await rollout({
    model,
    rows,
    prompts: rows.map(({ tokens }) => tokens),
    n: 1,
    maxNewTokens: 50,
    streams: Uint32Array.of(1),
    trainerState: { globalStep: 0, maxSteps: 1, epoch: 0 },
    onRewardError: "throw",
    logMetric: () => {},
  });
  const between = [...tokenizer.encode("<|endoftext|>[u]no<|endoftext|>[a]", { addSpecialTokens: false })];
  const own = actions.map(([tokens]) => tokens);
  const after = (tokens: number[]) => (tokens.at(-1) === tokenizer.eosTokenId ? between.slice(1) : between);
  expect([...(completion?.tokens ?? [])]).toEqual([...own[0]!, ...after(own[0]!), ...own[1]!, ...after(own[1]!), ...own[2]!]);
  expect(tokenizer.decode(completion!.promptTokens, { skipSpecialTokens: false })).toBe("[u]hi<|endoftext|>[a]");
  const texts = actions.map(([, text]) => text);
  expect(completion?.turns?.completion).toEqual(
    [texts[0], "no", texts[1], "no", texts[2]].map((content, i) => ({ role: i % 2 ? "user" : "assistant", content })),
  );
});

for (const [name, between] of [
  ["qwen3", "<|im_end|>\n<|im_start|>user\nhigher<|im_end|>\n<|im_start|>assistant\n"],
  ["llama3", "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nhigher<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"],
] as const) {
  const path = new URL(`../../../../shared/data/tokenizers/${name}/tokenizer_config.json`, import.meta.url);
  const present = existsSync(path);
  test.skipIf(!present)(`the template of ${name}${present ? "" : " (skipped: ../shared/data is not on this machine)"}`, () => {
    const chatTemplate = JSON.parse(readFileSync(path, "utf8")).chat_template as string;
    const row = { prompt: ask, columns: {}, tokens: Uint32Array.of(1) };
    const transcript = new ChatTranscript(ask, row, withTemplate(chatTemplate), {});
    for (const action of ["5", "<think>\nhm\n</think>\n\n7"]) {
      transcript.act(action);
      expect([...transcript.observe("higher", undefined)]).toEqual([...eos.encode(between)]);
    }
  });
}

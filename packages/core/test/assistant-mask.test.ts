/** Masks of what the assistant says: generation tags, the difference of renderings, and what is refused. */
import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import golden from "../../../fixtures/tokenizers/components.json";
import type { Message } from "../src/data/formats";
import { tokenizeExamples } from "../src/data/tokenize";
import { DataError } from "../src/errors";
import { Tokenizer, type TokenizerJson } from "../src/tokenizer/index";

const END = "<|im_end|>";
const trained = Tokenizer.train(["user assistant system: hello there, how are you? "], {
  vocabSize: 300,
  minFrequency: 1,
  specialTokens: ["<|im_start|>", END],
  eosToken: END,
});
const withTemplate = (chat_template: string, json = trained.toJSON()) =>
  Tokenizer.fromJSON(json, { ...trained.toConfigJSON(), chat_template });
const conversation: Message[] = [
  { role: "system", content: "be brief" },
  { role: "user", content: "hello" },
  { role: "assistant", content: "hello there" },
  { role: "user", content: "how are you? 你好 😀" },
  { role: "assistant", content: "naïve 😀 café" },
];
const encode = (tokenizer: Tokenizer, messages: Message[]) =>
  tokenizeExamples([{ messages: messages as never }], { tokenizer, assistantOnlyLoss: true })[0]!;
/** Text of each run of tokens that count, and all of the text. */
function counted(tokenizer: Tokenizer, messages: Message[]): { runs: string[]; text: string } {
  const { tokens, mask } = encode(tokenizer, messages);
  const runs: number[][] = [];
  mask.forEach((counts, i) => {
    if (counts && !mask[i - 1]) runs.push([]);
    if (counts) runs.at(-1)!.push(tokens[i]!);
  });
  return { runs: runs.map((run) => tokenizer.decode(run)), text: tokenizer.decode(tokens) };
}

const plain =
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const tagged = `{%- for m in messages %}
{%- if m.role == "assistant" %}
{{- "<|im_start|>assistant\\n" }}
{%- generation %}{{ m.content + "<|im_end|>" }}{% endgeneration %}
{{- "\\n" }}
{%- else %}
{{- "<|im_start|>" + m.role + "\\n" + m.content + "<|im_end|>\\n" }}
{%- endif %}
{%- endfor %}`;

describe("what counts", () => {
  test.each([
    ["generation tags", tagged],
    ["what a turn adds, where there are none", plain],
  ])("%s", (_, template) => {
    const tokenizer = withTemplate(template);
    const { runs, text } = counted(tokenizer, conversation);
    expect(runs).toEqual(["hello there<|im_end|>", "naïve 😀 café<|im_end|>"]);
    expect(text).toBe(
      "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\nhello there<|im_end|>\n<|im_start|>user\nhow are you? 你好 😀<|im_end|>\n<|im_start|>assistant\nnaïve 😀 café<|im_end|>\n",
    );
  });

  test("tags with and without hyphens leave the white space as it is", () => {
    for (const [open, close] of [
      ["{% generation %}", "{% endgeneration %}"],
      ["{%- generation -%}", "{%- endgeneration -%}"],
      ["{%generation%}\n", "\n  {% endgeneration %}\n"],
    ]) {
      const template = `{% for m in messages %}[{{ m.role }}] ${open} {{ m.content }} ${close} .{% endfor %}`;
      const { runs } = counted(withTemplate(template), [{ role: "assistant", content: "hello" }]);
      expect(runs).toHaveLength(1);
      expect(runs[0]).toContain("hello");
    }
  });

  test("a token counts when it has a character of the assistant's", () => {
    // One merge, of a and b.
    const pair = Tokenizer.train(["ab ".repeat(9)], { vocabSize: 258 });
    const tokenizer = withTemplate("{% for m in messages %}xa{% generation %}b{% endgeneration %}x{% endfor %}", pair.toJSON());
    expect(counted(tokenizer, conversation.slice(0, 1))).toEqual({ runs: ["ab"], text: "xabx" });
  });

  test("calls of tools are the assistant's, and the header that some templates put at the end always is not", () => {
    const template = `{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}{% for c in m.tool_calls or [] %}<call>{{ c.name }}</call>{% endfor %}${END}\n{% endfor %}{{ '<|im_start|>assistant\\n' }}`;
    const calls = [{ name: "add" }];
    const { runs } = counted(withTemplate(template), [
      ...conversation.slice(0, 2),
      { role: "assistant", content: " hello ", tool_calls: calls },
    ]);
    expect(runs).toEqual([`hello<call>add</call>${END}`]);
  });

  test("a conversation without the assistant has nothing to learn from", () => {
    expect(() => encode(withTemplate(plain), conversation.slice(0, 2))).toThrow(/must have a token to learn from/);
  });
});

describe("tokenizers whose tokens do not spell the text", () => {
  const named = (name: string) =>
    (golden.tokenizers as unknown as { name: string; json: TokenizerJson }[]).find((one) => one.name === name)!.json;
  const bracketed = "{% for m in messages %}</s>{{ m.role }}: {% generation %}{{ m.content }}</s>{% endgeneration %}{% endfor %}";

  test("a space that SentencePiece puts at the beginning and after an added token", () => {
    const { runs } = counted(withTemplate(bracketed, named("Llama 2")), [{ role: "user", content: "the cat" }]);
    expect(runs).toEqual([expect.stringMatching(/^ ?the cat<\/s>$/)]);
  });

  test("the tokens of a beginning, where they are the beginning of the tokens", () => {
    const { runs } = counted(withTemplate(bracketed, named("T5")), [{ role: "user", content: "the cat" }]);
    expect(runs).toEqual(["the cat</s>"]);
    const crossing = withTemplate("{% for m in messages %}lo{% generation %}w{% endgeneration %}er{% endfor %}", named("T5"));
    expect(() => encode(crossing, conversation.slice(0, 1))).toThrow(/no token may cross the border/);
  });
});

describe("is refused", () => {
  test.each([
    [
      "a template that changes earlier turns",
      "{% for m in messages %}{{ m.role }}: {{ m.content if loop.last else '...' }}\n{% endfor %}",
      /must only append/,
    ],
    ["tags that do not come in pairs", "{% for m in messages %}{% generation %}{{ m.content }}{% endfor %}", /must come in pairs/],
  ])("%s", (_, template, message) => {
    const read = () => encode(withTemplate(template), conversation);
    expect(read).toThrow(DataError);
    expect(read).toThrow(message);
  });

  test("a row without messages", () => {
    const read = () => tokenizeExamples([{ text: "hello" }], { tokenizer: withTemplate(plain), assistantOnlyLoss: true });
    expect(read).toThrow("dataset line 1: assistantOnlyLoss needs `messages`, got none");
  });
});

for (const name of ["llama3", "qwen3"] as const) {
  const folder = new URL(`../../../../shared/data/tokenizers/${name}/`, import.meta.url);
  const present = existsSync(folder);
  test.skipIf(!present)(`the published template of ${name}${present ? "" : " (skipped: ../shared/data is not on this machine)"}`, () => {
    const json = JSON.parse(gunzipSync(readFileSync(new URL("tokenizer.json.gz", folder))).toString());
    const tokenizer = Tokenizer.fromJSON(json, JSON.parse(readFileSync(new URL("tokenizer_config.json", folder), "utf8")));
    const { runs } = counted(tokenizer, conversation.slice(0, 3));
    const end = tokenizer.idToToken(tokenizer.eosTokenId!);
    // Qwen 3 writes the thoughts that it did not have.
    expect(runs).toEqual([`${name === "qwen3" ? "<think>\n\n</think>\n\n" : ""}hello there${name === "qwen3" ? end : "<|eot_id|>"}`]);
  });
}

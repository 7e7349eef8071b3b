/** Log-probabilities in OpenAI's two forms. */
import type { Completion, Tokenizer, TokenLogprob } from "@trimtab/core";

type Scored = Pick<Completion, "tokens" | "logps" | "topLogprobs">;

/** The form of chat completions: an entry per token. */
export function chatLogprobs({ tokens, logps, topLogprobs }: Scored, tokenizer: Tokenizer): object {
  const entry = ({ token, logp }: TokenLogprob) => ({
    token: textOf(token, tokenizer),
    logprob: logp,
    bytes: [...(tokenizer.tokenBytes(token) ?? [])],
  });
  return {
    content: Array.from(tokens, (token, t) => ({
      ...entry({ token, logp: logps[t] as number }),
      top_logprobs: (topLogprobs?.[t] ?? []).map(entry),
    })),
    refusal: null,
  };
}

/** The form of completions: parallel arrays; `offset` is where the first token's text begins in all of the completion's tokens' text. */
export function completionLogprobs({ tokens, logps, topLogprobs }: Scored, tokenizer: Tokenizer, offset: number): object {
  const texts = Array.from(tokens, (token) => textOf(token, tokenizer));
  let end = offset;
  return {
    tokens: texts,
    token_logprobs: [...logps],
    top_logprobs: topLogprobs?.map((top) => Object.fromEntries(top.map(({ token, logp }) => [textOf(token, tokenizer), logp]))) ?? null,
    text_offset: texts.map((text) => {
      end += text.length;
      return end - text.length;
    }),
  };
}

const decoder = new TextDecoder();

/** A token's text; its name where it has none. */
export function textOf(token: number, tokenizer: Tokenizer): string {
  const bytes = tokenizer.tokenBytes(token);
  return bytes ? decoder.decode(bytes) : token < tokenizer.vocabSize ? (tokenizer.idToToken(token) ?? "") : "";
}

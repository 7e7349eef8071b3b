/** tokenizer.json of byte-level tokenizers: trained here, or put together from GPT-2's own files. */
import { trainBytePairs } from "@trimtab/kernels";
import { type AddedToken, AddedTokenSplitter } from "./added-tokens";
import { byteCharacters, bytesInOrder, tokenOfBytes } from "./byte-alphabet";
import { TokenizerError } from "./tokenizer-error";
import type { AddedTokenJson, TokenizerConfigJson, TokenizerJson } from "./tokenizer-json";

/** Options of `Tokenizer.train`. */
export interface TrainTokenizerOptions {
  /** Tokens in all: special tokens, 256 bytes, and as many merges as fit. Fewer when pairs run out. */
  readonly vocabSize: number;
  /** Ids 0, 1, ...; default `["<|endoftext|>"]`. They are cut out of the training text. */
  readonly specialTokens?: readonly string[];
  /** Pairs that occur less often are not merged; default 2. */
  readonly minFrequency?: number;
  /** Default "<|endoftext|>" where that is a special token. */
  readonly eosToken?: string;
  readonly bosToken?: string;
  readonly padToken?: string;
  /** Jinja source for `chatTemplate`. */
  readonly chatTemplate?: string;
}

/** The two files of a tokenizer. */
export interface TokenizerFiles {
  readonly json: TokenizerJson;
  readonly config: TokenizerConfigJson;
}

const END_OF_TEXT = "<|endoftext|>";

/** A special token as tokenizer.json has it. */
export const specialToken = (content: string, id: number): AddedTokenJson => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** Trains with GPT-2's word rule; see `Tokenizer.train`. */
export function trainTokenizer(texts: Iterable<string>, options: TrainTokenizerOptions): TokenizerFiles {
  const { vocabSize, specialTokens = [END_OF_TEXT], minFrequency, chatTemplate } = options;
  const first = specialTokens.length;
  if (vocabSize < first + 256) {
    throw new TokenizerError(
      `Tokenizer.train: vocabSize must be at least ${first + 256} (256 bytes and the special tokens), got ${vocabSize}. Ask for a larger vocabulary.`,
    );
  }
  const byteIds = new Int32Array(256);
  bytesInOrder.forEach((byte, id) => {
    byteIds[byte] = id;
  });
  const merges = trainBytePairs(withoutTokens(texts, specialTokens), {
    vocabSize: vocabSize - first,
    byteIds,
    ...(minFrequency === undefined ? {} : { minFrequency }),
  });
  const names = bytesInOrder.map((byte) => tokenOfBytes(Uint8Array.of(byte)));
  const lines: string[] = [];
  for (let i = 0; i < merges.length; i += 3) {
    const [left, right, merged] = [names[merges[i]!]!, names[merges[i + 1]!]!, merges[i + 2]!];
    lines.push(`${left} ${right}`);
    names[merged] = left + right;
  }
  // Without a prototype, a token may be called anything.
  const vocab: Record<string, number> = Object.create(null);
  for (const [id, name] of [...specialTokens, ...names].entries()) vocab[name] = id;
  const config: TokenizerConfigJson = { tokenizer_class: "PreTrainedTokenizerFast", clean_up_tokenization_spaces: false };
  const eosToken = options.eosToken ?? (specialTokens.includes(END_OF_TEXT) ? END_OF_TEXT : undefined);
  const named = { bos_token: options.bosToken, eos_token: eosToken, pad_token: options.padToken };
  for (const [field, token] of Object.entries(named)) {
    if (token === undefined) continue;
    if (!specialTokens.includes(token)) {
      throw new TokenizerError(`Tokenizer.train: ${field} must be one of specialTokens, got "${token}". Add it to specialTokens.`);
    }
    config[field] = token;
  }
  if (chatTemplate !== undefined) config.chat_template = chatTemplate;
  return { json: byteLevelJson(vocab, lines, specialTokens.map(specialToken)), config };
}

function* withoutTokens(texts: Iterable<string>, tokens: readonly string[]): Generator<string> {
  const added = tokens.map((content, id): AddedToken => {
    return { id, content, singleWord: false, lstrip: false, rstrip: false, normalized: false, special: true };
  });
  const splitter = new AddedTokenSplitter(added);
  for (const text of texts) for (const segment of splitter.split(text, false)) if ("text" in segment) yield segment.text;
}

/** GPT-2's vocab.json and merges.txt. "<|endoftext|>" becomes special where it exists. */
export function gpt2Json(vocab: Record<string, number>, merges: string): TokenizerJson {
  const lines = merges.split("\n").filter((line, i) => line !== "" && !(i === 0 && line.startsWith("#version")));
  const end = vocab[END_OF_TEXT];
  return byteLevelJson(vocab, lines, end === undefined ? [] : [specialToken(END_OF_TEXT, end)]);
}

/** tokenizer.json of a GPT-2-style tokenizer. */
function byteLevelJson(vocab: Record<string, number>, merges: string[], added: AddedTokenJson[]): TokenizerJson {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const missing = byteCharacters.findIndex((character) => vocab[character] === undefined);
  if (missing >= 0) {
    throw new TokenizerError(
      `Tokenizer: the vocabulary must hold all 256 bytes, got none for byte ${missing} ("${byteCharacters[missing]}"). Add it.`,
    );
  }
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: { ...byteLevel, trim_offsets: false },
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

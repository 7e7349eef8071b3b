/** The parts of Hugging Face's tokenizer.json and tokenizer_config.json that Trimtab reads and writes. */

/** A token that is cut out of text before anything else. */
export interface AddedTokenJson {
  id: number;
  content: string;
  /** Only where no word character touches it. */
  single_word?: boolean;
  /** Takes the white space before it along. */
  lstrip?: boolean;
  /** Takes the white space after it along. */
  rstrip?: boolean;
  /** Looked for in normalized text. */
  normalized?: boolean;
  /** Left out by `skipSpecialTokens`. */
  special?: boolean;
}

/** A component with its type and fields of its own. */
export interface ComponentJson {
  type: string;
  [field: string]: unknown;
}

/** tokenizer.json */
export interface TokenizerJson {
  version?: string;
  truncation?: unknown;
  padding?: unknown;
  added_tokens?: AddedTokenJson[];
  normalizer?: ComponentJson | null;
  pre_tokenizer?: ComponentJson | null;
  post_processor?: ComponentJson | null;
  decoder?: ComponentJson | null;
  model: {
    type?: string;
    dropout?: number | null;
    unk_token?: string | null;
    continuing_subword_prefix?: string | null;
    end_of_word_suffix?: string | null;
    fuse_unk?: boolean;
    byte_fallback?: boolean;
    ignore_merges?: boolean;
    vocab: Record<string, number>;
    /** "left right", or [left, right] since tokenizers 0.20. */
    merges: (string | [string, string])[];
  };
}

/** A token name in tokenizer_config.json: a string, or an object around one. */
export type TokenNameJson = string | { content: string; [field: string]: unknown } | null;

/** tokenizer_config.json */
export interface TokenizerConfigJson {
  bos_token?: TokenNameJson;
  eos_token?: TokenNameJson;
  pad_token?: TokenNameJson;
  unk_token?: TokenNameJson;
  /** One template, or several by name of which "default" is taken. */
  chat_template?: string | { name: string; template: string }[] | null;
  added_tokens_decoder?: Record<string, Omit<AddedTokenJson, "id">>;
  [field: string]: unknown;
}

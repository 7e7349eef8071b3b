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

/** The model, whose other fields depend on its type. */
export interface ModelJson {
  /** "BPE", "Unigram", "WordPiece" or "WordLevel". */
  type?: string;
  /** Ids by token, or Unigram's [token, log-probability] by id. */
  vocab: Record<string, number> | [string, number][];
  /** BPE: "left right", or [left, right] since tokenizers 0.20. */
  merges?: (string | [string, string])[];
  [field: string]: unknown;
}

/** tokenizer.json */
export interface TokenizerJson {
  version?: string;
  /** Kept, not used: rows are cut where they are tokenized, with the trainer's maxLength. */
  truncation?: unknown;
  /** Kept, not used: batches here are ragged, not padded. */
  padding?: unknown;
  added_tokens?: AddedTokenJson[];
  normalizer?: ComponentJson | null;
  pre_tokenizer?: ComponentJson | null;
  post_processor?: ComponentJson | null;
  decoder?: ComponentJson | null;
  model: ModelJson;
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

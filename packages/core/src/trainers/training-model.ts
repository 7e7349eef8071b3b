/** What trainers need of a language model. */
import type { Decoder } from "../models/decoder";
import type { Tokenizer } from "../tokenizer/tokenizer";

/** A decoder, which training changes in place, and the tokenizer of its texts. */
export interface TrainingModel {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
  readonly generationConfig?: { readonly eosTokenIds?: readonly number[] | undefined } | undefined;
}

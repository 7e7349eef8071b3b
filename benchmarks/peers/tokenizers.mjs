/** The peers' tokenizers behind one small surface. */
import { Tokenizer } from "@huggingface/tokenizers";
import { decode, encode } from "gpt-tokenizer/encoding/r50k_base";

export const gptTokenizer = { encode, decode };
export const huggingFace = (json, config) => new Tokenizer(json, config);

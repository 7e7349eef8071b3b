/** What completions are held to: from a regular expression or a JSON schema and a vocabulary to the tokens that may come next. */
import { ConstraintError } from "../errors";
import { utf8Character } from "./code-points";
import { schemaLanguage } from "./json-schema";
import { type Language, Languages } from "./language";
import { expressionLanguage } from "./regular-expression";
import type { Schema } from "./schema-pointer";
import { type ByteTokens, VocabularyTrie } from "./vocabulary";

/** The whole completion matches the expression (JavaScript's, flag u), or is JSON that the schema allows. */
export type Constraint = { readonly regex: string } | { readonly jsonSchema: boolean | Readonly<Record<string, unknown>> };

/** A tokenizer whose tokens are bytes. */
export interface ConstrainedTokens extends ByteTokens {
  /** Spaces that are dropped at the beginning of the text. Default 0. */
  readonly leadingSpaces?: number | undefined;
}

/** Masks kept of a constraint; each has a bit for every token. */
const MOST_MASKS = 4096;
/** Expressions kept of a constraint that is used again. */
const MOST_STATES = 200_000;

/** A constraint on the tokens of one tokenizer. States are shared by all completions that are held to it. */
export class TokenConstraint {
  readonly start: Language;
  readonly #languages = new Languages();
  readonly #tokens: ConstrainedTokens;
  readonly #trie: VocabularyTrie;
  readonly #words: number;
  readonly #masks = new Map<Language, Uint32Array>();

  /** `words`: u32 words of a mask. Throws ConstraintError for what cannot be kept to. */
  constructor(constraint: Constraint, tokens: ConstrainedTokens, trie: VocabularyTrie, words: number) {
    const languages = this.#languages;
    const language =
      "regex" in constraint
        ? expressionLanguage(languages, constraint.regex, { character: (ranges) => utf8Character(languages, ranges), isSearch: false })
        : schemaLanguage(languages, constraint.jsonSchema as Schema);
    if (language === languages.nothing)
      throw new ConstraintError("constraint: some text must match, got one that nothing matches. Correct it.", "nothing");
    this.start = this.#afterSpaces(language, tokens.leadingSpaces ?? 0);
    this.#tokens = tokens;
    this.#trie = trie;
    this.#words = words;
  }

  /** Texts that nest ever deeper have made ever more states: better begin anew. */
  get isOvergrown(): boolean {
    return this.#languages.count > MOST_STATES;
  }

  /** The state after a token that its mask allows. */
  after(state: Language, token: number): Language {
    const bytes = this.#tokens.tokenBytes(token) ?? [];
    let next = state;
    for (const byte of bytes) next = this.#languages.derivative(next, byte);
    return next;
  }

  /** Bit t of word ⌊t / 32⌋ is set where token t may come next. Kept: do not change it. */
  allowed(state: Language): Uint32Array {
    const known = this.#masks.get(state);
    if (known) return known;
    if (this.#masks.size >= MOST_MASKS) this.#masks.clear();
    const mask = this.#walk(state);
    this.#masks.set(state, mask);
    return mask;
  }

  #walk(state: Language): Uint32Array {
    const { bytes, depths, ends, starts, ids, maxDepth } = this.#trie;
    const languages = this.#languages;
    const mask = new Uint32Array(this.#words);
    const path = new Array<Language>(maxDepth + 1).fill(state);
    for (let i = 0; i < bytes.length; ) {
      const depth = depths[i] as number;
      const next = languages.derivative(path[depth - 1] as Language, bytes[i] as number);
      if (next === languages.nothing) {
        i = ends[i] as number;
        continue;
      }
      path[depth] = next;
      for (let at = starts[i] as number; at < (starts[i + 1] as number); at++) {
        const token = ids[at] as number;
        mask[token >>> 5] = (mask[token >>> 5] as number) | (1 << (token & 31));
      }
      i++;
    }
    return mask;
  }

  /** The language with the spaces in front that the decoder drops. */
  #afterSpaces(language: Language, spaces: number): Language {
    if (spaces === 0) return language;
    const languages = this.#languages;
    return languages.choice(
      languages.sequence(languages.literal([0x20]), this.#afterSpaces(language, spaces - 1)),
      languages.unless(0x20, language),
    );
  }
}

/** Constraints kept for a tokenizer, the longest unused dropped first. */
const MOST_CONSTRAINTS = 32;
const known = new WeakMap<object, { readonly trie: VocabularyTrie; readonly constraints: Map<string, TokenConstraint> }>();

/** A constraint for a tokenizer; equal ones are compiled once. */
export function tokenConstraint(constraint: Constraint, tokens: ConstrainedTokens, words: number): TokenConstraint {
  let kept = known.get(tokens);
  if (!kept) {
    kept = { trie: new VocabularyTrie(tokens), constraints: new Map() };
    known.set(tokens, kept);
  }
  const { trie, constraints } = kept;
  const key = JSON.stringify([words, constraint]);
  const used = constraints.get(key);
  const compiled = used && !used.isOvergrown ? used : new TokenConstraint(constraint, tokens, trie, words);
  constraints.delete(key);
  constraints.set(key, compiled);
  if (constraints.size > MOST_CONSTRAINTS) constraints.delete(constraints.keys().next().value as string);
  return compiled;
}

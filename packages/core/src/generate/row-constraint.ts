/** Where one completion is in its constraint. */
import type { TokenConstraint } from "../constraints/constraint";
import type { Language } from "../constraints/language";
import { ConstraintError } from "../errors";

export class RowConstraint {
  readonly #constraint: TokenConstraint;
  readonly #eosTokenIds: ReadonlySet<number>;
  #state: Language;

  constructor(constraint: TokenConstraint, eosTokenIds: ReadonlySet<number>) {
    this.#constraint = constraint;
    this.#eosTokenIds = eosTokenIds;
    this.#state = constraint.start;
  }

  push(token: number): void {
    this.#state = this.#constraint.after(this.#state, token);
  }

  /** The text is whole, and no token may follow it. */
  get isOver(): boolean {
    return this.#state.isNullable && this.#inside().every((word) => word === 0);
  }

  /** Tokens that may be drawn: of the text, and EOS where it may end. Throws ConstraintError where the vocabulary has none. */
  allowed(): Uint32Array {
    const mask = this.#inside();
    if (this.#state.isNullable) for (const id of this.#eosTokenIds) mask[id >>> 5] = (mask[id >>> 5] as number) | (1 << (id & 31));
    if (mask.some((word) => word !== 0)) return mask;
    throw new ConstraintError(
      "constraint: the vocabulary must have a token for every byte of the text, got none that may follow. Use a byte-level tokenizer.",
      "vocabulary",
    );
  }

  /** Tokens that go on with the text. One that would end the completion is no text. */
  #inside(): Uint32Array {
    const mask = this.#constraint.allowed(this.#state).slice();
    for (const id of this.#eosTokenIds) mask[id >>> 5] = (mask[id >>> 5] as number) & ~(1 << (id & 31));
    return mask;
  }
}

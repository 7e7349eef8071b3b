/**
 * Languages over bytes as expressions, and their derivatives (Brzozowski 1964): d(L, b) is what may follow b. An expression is a state of the
 * automaton, made when it is first reached. Equal expressions are one object, so a regular language has finitely many states; rules that refer to
 * each other make context-free ones, whose stack is in the expression.
 *
 * No expression but `nothing` is of an empty language, as long as every rule is productive: no state is a dead end.
 */

export type Language = {
  readonly id: number;
  /** The text may end here. */
  readonly isNullable: boolean;
  readonly shape: Shape;
  /** Derivatives by byte, as far as they are known. */
  readonly next: Map<number, Language>;
};

type Shape =
  | { readonly kind: "nothing" }
  | { readonly kind: "end" }
  /** One byte of a set; bit b of word ⌊b / 32⌋. */
  | { readonly kind: "bytes"; readonly set: Uint32Array }
  | { readonly kind: "sequence"; readonly first: Language; readonly rest: Language }
  | { readonly kind: "choice"; readonly options: readonly Language[] }
  | { readonly kind: "repeat"; readonly item: Language; readonly min: number; readonly max: number }
  /** What does not begin with a byte. */
  | { readonly kind: "unless"; readonly byte: number; readonly language: Language }
  | { readonly kind: "rule"; readonly rule: number };

const has = (set: Uint32Array, byte: number): boolean => (((set[byte >>> 5] as number) >>> (byte & 31)) & 1) === 1;

/** Makes languages and keeps equal ones together. */
export class Languages {
  readonly #known = new Map<string, Language>();
  readonly #rules: (Language | undefined)[] = [];
  readonly nothing = this.#make("0", { kind: "nothing" }, false);
  readonly end = this.#make("1", { kind: "end" }, true);

  /** Expressions made so far. */
  get count(): number {
    return this.#known.size;
  }

  /** One byte from `lo` to `hi`. */
  range(lo: number, hi: number): Language {
    const set = new Uint32Array(8);
    for (let byte = lo; byte <= hi; byte++) set[byte >>> 5] = (set[byte >>> 5] as number) | (1 << (byte & 31));
    return this.#bytes(set);
  }

  literal(bytes: Iterable<number>): Language {
    return this.sequence(...Array.from(bytes, (byte) => this.range(byte, byte)));
  }

  sequence(...parts: readonly Language[]): Language {
    return parts.reduceRight((rest, first) => this.#pair(first, rest), this.end);
  }

  choice(...options: readonly Language[]): Language {
    const flat = options.flatMap((option) => (option.shape.kind === "choice" ? option.shape.options : [option]));
    const sets = flat.flatMap(({ shape }) => (shape.kind === "bytes" ? [shape.set] : []));
    const others = flat.filter(({ shape }) => shape.kind !== "bytes" && shape.kind !== "nothing");
    const merged =
      sets.length > 0 ? [this.#bytes(new Uint32Array(8).map((_, i) => sets.reduce((word, set) => word | (set[i] as number), 0)))] : [];
    const unique = [...new Set([...merged, ...others])].sort((a, b) => a.id - b.id);
    if (unique.length <= 1) return unique[0] ?? this.nothing;
    return this.#make(
      `c${unique.map(({ id }) => id).join()}`,
      { kind: "choice", options: unique },
      unique.some(({ isNullable }) => isNullable),
    );
  }

  optional(language: Language): Language {
    return this.choice(language, this.end);
  }

  /** `min` to `max` times, both included. */
  repeat(item: Language, min: number, max: number): Language {
    if (max === 0) return this.end;
    if (item === this.nothing) return min === 0 ? this.end : this.nothing;
    if (item === this.end || (min === 1 && max === 1)) return item;
    return this.#make(`r${item.id},${min},${max}`, { kind: "repeat", item, min, max }, min === 0 || item.isNullable);
  }

  unless(byte: number, language: Language): Language {
    return this.#make(`u${byte},${language.id}`, { kind: "unless", byte, language }, language.isNullable);
  }

  /** A language that is defined later, and does not hold the empty text. */
  newRule(): { readonly language: Language; readonly define: (language: Language) => void } {
    const rule = this.#rules.push(undefined) - 1;
    return {
      language: this.#make(`g${rule}`, { kind: "rule", rule }, false),
      define: (language) => {
        this.#rules[rule] = language;
      },
    };
  }

  /** What may follow `byte`; `nothing` where it may not come. */
  derivative(language: Language, byte: number): Language {
    let next = language.next.get(byte);
    if (next === undefined) {
      next = this.#derive(language.shape, byte);
      language.next.set(byte, next);
    }
    return next;
  }

  /** Whether a language has a text at all, given that every rule in `productive` has; rules not defined have none. */
  isProductive({ shape }: Language, productive: ReadonlySet<number>): boolean {
    switch (shape.kind) {
      case "nothing":
        return false;
      case "end":
      case "bytes":
        return true;
      case "sequence":
        return this.isProductive(shape.first, productive) && this.isProductive(shape.rest, productive);
      case "choice":
        return shape.options.some((option) => this.isProductive(option, productive));
      case "repeat":
        return shape.min === 0 || this.isProductive(shape.item, productive);
      case "unless":
        return this.isProductive(shape.language, productive);
      case "rule":
        return productive.has(shape.rule);
    }
  }

  /** A rule without any finite text, or one that can begin with itself; undefined where there is neither. */
  faultyRule(): { readonly rule: Language; readonly fault: "endless" | "left-recursive" } | undefined {
    const productive = new Set<number>();
    for (let before = -1; before < productive.size; ) {
      before = productive.size;
      this.#rules.forEach((language, rule) => {
        if (language && this.isProductive(language, productive)) productive.add(rule);
      });
    }
    for (const rule of this.#rules.keys()) {
      const fault = !productive.has(rule) ? "endless" : this.#leads(rule, rule, new Set()) ? "left-recursive" : undefined;
      if (fault) return { rule: this.#known.get(`g${rule}`) as Language, fault };
    }
    return undefined;
  }

  #leads(from: number, to: number, seen: Set<number>): boolean {
    const leading = this.#leading(this.#rules[from] as Language);
    if (leading.includes(to)) return true;
    return leading.some((rule) => {
      if (seen.has(rule)) return false;
      seen.add(rule);
      return this.#leads(rule, to, seen);
    });
  }

  /** Rules with which a text of the language may begin. */
  #leading({ shape }: Language): number[] {
    switch (shape.kind) {
      case "sequence":
        return [...this.#leading(shape.first), ...(shape.first.isNullable ? this.#leading(shape.rest) : [])];
      case "choice":
        return shape.options.flatMap((option) => this.#leading(option));
      case "repeat":
        return this.#leading(shape.item);
      case "unless":
        return this.#leading(shape.language);
      case "rule":
        return [shape.rule];
      default:
        return [];
    }
  }

  #derive(shape: Shape, byte: number): Language {
    switch (shape.kind) {
      case "nothing":
      case "end":
        return this.nothing;
      case "bytes":
        return has(shape.set, byte) ? this.end : this.nothing;
      case "sequence": {
        const through = this.#pair(this.derivative(shape.first, byte), shape.rest);
        return shape.first.isNullable ? this.choice(through, this.derivative(shape.rest, byte)) : through;
      }
      case "choice":
        return this.choice(...shape.options.map((option) => this.derivative(option, byte)));
      case "repeat":
        return this.#pair(this.derivative(shape.item, byte), this.repeat(shape.item, Math.max(0, shape.min - 1), shape.max - 1));
      case "unless":
        return byte === shape.byte ? this.nothing : this.derivative(shape.language, byte);
      case "rule":
        return this.derivative(this.#rules[shape.rule] as Language, byte);
    }
  }

  #bytes(set: Uint32Array): Language {
    if (set.every((word) => word === 0)) return this.nothing;
    return this.#make(`b${set.join()}`, { kind: "bytes", set }, false);
  }

  #pair(first: Language, rest: Language): Language {
    if (first === this.nothing || rest === this.nothing) return this.nothing;
    if (first === this.end) return rest;
    if (rest === this.end) return first;
    // To the right, so that equal sequences are equal expressions.
    if (first.shape.kind === "sequence") return this.#pair(first.shape.first, this.#pair(first.shape.rest, rest));
    return this.#make(`s${first.id},${rest.id}`, { kind: "sequence", first, rest }, first.isNullable && rest.isNullable);
  }

  #make(key: string, shape: Shape, isNullable: boolean): Language {
    let language = this.#known.get(key);
    if (!language) {
      language = { id: this.#known.size, isNullable, shape, next: new Map() };
      this.#known.set(key, language);
    }
    return language;
  }
}

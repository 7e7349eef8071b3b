/**
 * Loops that are written out before a shader is compiled. GPUs keep an array of a function in registers only where every index into it is a constant:
 * one loop that the driver's compiler leaves alone moves the whole array to memory, which made matrix products 13 times slower on an NVIDIA H200
 * (docs/decisions/0037).
 * WGSL has no words for it, so a loop says
 *
 *   @unroll(4) for (var i = 0u; i < 4u; i++) { … }
 *   @unroll(CHUNKS, unless EMULATED) for (var chunk = 0u; chunk < chunks(); chunk++) { … }
 *
 * with a number or an override of the shader, and its body is repeated with `const i = 0u;`, `const i = 1u;` and so on before it. The second form
 * stays a loop where that constant is set: on GPUs emulated by a CPU, whose compilers take minutes over long programs.
 */
const DIRECTIVE = /@unroll\((\w+)(?:, unless (\w+))?\)\s*for \(var (\w+) = 0u; [^;]+; \3\+\+\) \{/;

/** `source` with its marked loops written out, an outer one before those in it, so that they see its constant. */
export function unroll(source: string, constants: Readonly<Record<string, number>>): string {
  const timesOf = (name: string) => (/^\d+$/.test(name) ? Number(name) : (constants[name] ?? defaultOf(source, name)));
  let code = source;
  for (let match = DIRECTIVE.exec(code); match; match = DIRECTIVE.exec(code)) {
    const [text, count, condition, name] = match as unknown as [string, string, string | undefined, string];
    const begin = match.index + text.length;
    const end = closingBrace(code, begin);
    const body = code.slice(begin, end);
    const isKept = condition !== undefined && constants[condition] === 1;
    const copies = Array.from({ length: isKept ? 0 : timesOf(count) }, (_, i) => `{ const ${name} = ${i}u;${body}}`);
    const written = isKept ? `${text.slice(text.indexOf("for ("))}${body}}` : `{\n${copies.join("\n")}\n}`;
    code = code.slice(0, match.index) + written + code.slice(end + 1);
  }
  return code;
}

/** The value of an override that the program does not set. */
function defaultOf(source: string, name: string): number {
  const match = new RegExp(`override ${name}: u32 = (\\d+)u;`).exec(source);
  if (!match) throw new TypeError(`@unroll: ${name} must be a number or an override of the shader, got neither.`);
  return Number(match[1]);
}

/** Where the block whose inside starts at `begin` closes. */
function closingBrace(source: string, begin: number): number {
  let depth = 1;
  for (let at = begin; at < source.length; at++) {
    if (source[at] === "{") depth += 1;
    if (source[at] === "}" && --depth === 0) return at;
  }
  throw new TypeError("@unroll: the loop's block must close.");
}

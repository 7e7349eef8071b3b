/** Loops that are written out before a shader is compiled. */
import { describe, expect, it } from "vitest";
import { unroll } from "../src/webgpu/unroll";

const flat = (code: string) => code.replace(/\s+/g, " ").trim();

describe("@unroll", () => {
  it("repeats a body with a constant counter", () => {
    const code = unroll("a(); @unroll(2) for (var i = 0u; i < 2u; i++) { f(i); } b();", {});
    expect(flat(code)).toBe("a(); { { const i = 0u; f(i); } { const i = 1u; f(i); } } b();");
  });

  it("writes out a loop in a loop, and braces in bodies", () => {
    const code = unroll(
      "@unroll(2) for (var i = 0u; i < 2u; i++) { if (x) { @unroll(1) for (var j = 0u; j < n(); j++) { f(i, j); } } }",
      {},
    );
    const inner = "if (x) { { { const j = 0u; f(i, j); } } }";
    expect(flat(code)).toBe(`{ { const i = 0u; ${inner} } { const i = 1u; ${inner} } }`);
  });

  it("counts by a constant of the program, else by the shader's own", () => {
    const source = "override ROWS: u32 = 3u; @unroll(ROWS) for (var i = 0u; i < ROWS; i++) { f(); }";
    const times = (constants: Record<string, number>) => unroll(source, constants).split("f();").length - 1;
    expect([times({}), times({ ROWS: 1 }), times({ ROWS: 0 })]).toEqual([3, 1, 0]);
  });

  it("stays a loop where its condition says so", () => {
    const source = "@unroll(4, unless EMULATED) for (var i = 0u; i < bound(4u); i++) { f(i); }";
    expect(flat(unroll(source, { EMULATED: 1 }))).toBe("for (var i = 0u; i < bound(4u); i++) { f(i); }");
    expect(unroll(source, { EMULATED: 0 }).match(/f\(i\)/g)).toHaveLength(4);
  });

  it("refuses a count that nobody gives, and a block that does not close", () => {
    expect(() => unroll("@unroll(ROWS) for (var i = 0u; i < ROWS; i++) { f(); }", {})).toThrow(/ROWS must be a number or an override/);
    expect(() => unroll("@unroll(2) for (var i = 0u; i < 2u; i++) { f();", {})).toThrow(/must close/);
  });
});

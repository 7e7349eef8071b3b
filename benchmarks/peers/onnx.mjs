/** Writes ONNX models: the few messages of onnx.proto that a decoder needs, as protocol buffers. */

const text = new TextEncoder();

function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Uint8Array.of(...bytes, Number(rest));
}

/** A field is a list of byte arrays, so that a model's weights are copied once, when all is put together. */
const lengthOf = (parts) => parts.reduce((sum, part) => sum + part.length, 0);
const int = (field, value) => [varint(field << 3), varint(value)];
const float = (field, value) => [varint((field << 3) | 5), new Uint8Array(Float32Array.of(value).buffer)];
const bytes = (field, value) => [varint((field << 3) | 2), varint(value.length), value];
const string = (field, value) => bytes(field, text.encode(value));
const message = (field, ...fields) => {
  const parts = fields.flat();
  return [varint((field << 3) | 2), varint(lengthOf(parts)), ...parts];
};

export const FLOAT = 1;
export const INT32 = 6;
export const INT64 = 7;

/** An attribute is a float where it is written as `{ float }`, else an int or ints. */
function attribute(name, value) {
  if (typeof value === "object" && "float" in value) return message(5, string(1, name), float(2, value.float), int(20, 1));
  if (Array.isArray(value)) return message(5, string(1, name), ...value.map((each) => int(8, each)), int(20, 7));
  return message(5, string(1, name), int(3, value), int(20, 2));
}

/** `domain` defaults to ONNX's own; an absent input is "". */
export const node = (operator, inputs, outputs, attributes = {}, domain = "") =>
  message(
    1,
    ...inputs.map((name) => string(1, name)),
    ...outputs.map((name) => string(2, name)),
    string(4, operator),
    ...Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    string(7, domain),
  );

/** `values` is a typed array of the type. */
export const initializer = (name, type, dims, values) =>
  message(
    5,
    ...dims.map((dim) => int(1, dim)),
    int(2, type),
    string(8, name),
    bytes(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  );

/** Dimensions are numbers, or names of what only a run knows. */
const value = (field) => (name, type, dims) => {
  const shape = message(2, ...dims.map((dim) => message(1, typeof dim === "number" ? int(1, dim) : string(2, dim))));
  return message(field, string(1, name), message(2, message(1, int(1, type), shape)));
};
export const input = value(11);
export const output = value(12);

/** One array with the whole model; `parts` are nodes, initializers, inputs and outputs. */
export function model(parts, { opset = 17 } = {}) {
  const all = [
    int(1, 8),
    message(7, string(2, "decoder"), ...parts),
    message(8, string(1, ""), int(2, opset)),
    message(8, string(1, "com.microsoft"), int(2, 1)),
  ].flat();
  const whole = new Uint8Array(lengthOf(all));
  let at = 0;
  for (const part of all) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

declare module "*.wgsl" {
  const source: string;
  export default source;
}
declare module "*.wasm" {
  /** The module in base64: it is decoded where it is used, not by everyone who imports it. */
  const base64: string;
  export default base64;
}

/** wgsl_reflect's types belong to its `main`, which is no ES module; the module has the same exports. */
declare module "wgsl_reflect/wgsl_reflect.module.js" {
  export * from "wgsl_reflect";
}

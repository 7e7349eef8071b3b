/** @trimtab/web: everything of @trimtab/core, with the browser's devices, storage and workers. */

export * from "@trimtab/core";
export * from "./feedback/headless";

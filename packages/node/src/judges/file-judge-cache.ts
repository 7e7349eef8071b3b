/** A judge's answers on disk: one file each, never half written. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JudgeCache } from "@trimtab/core";
import { placeFile } from "../files";

/** Keeps answers in `directory`, which is made when the first one comes. Several processes may share it. */
export function fileJudgeCache(directory: string): JudgeCache {
  const pathOf = (key: string) => join(directory, `${key}.json`);
  return {
    async get(key) {
      try {
        return await readFile(pathOf(key), "utf8");
      } catch (error) {
        if ((error as { code?: unknown }).code === "ENOENT") return undefined;
        throw error;
      }
    },
    async set(key, value) {
      await placeFile(pathOf(key), (temporary) => writeFile(temporary, value));
    },
  };
}

/**
 * Completes package-lock.json with the optional packages of other platforms, for registries that do not serve them: npm leaves
 * such packages out of the lockfile that it writes, and then `npm ci` refuses that lockfile. Run it after every `npm install`.
 *
 * An entry needs no integrity: npm takes it up only on the platform it names.
 */
import { readFileSync, writeFileSync } from "node:fs";

const OPERATING_SYSTEMS = ["android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "aix", "win32"];
const PROCESSORS = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64"];
/** Packages that name a platform in another word than Node does. */
const ALIASES = { windows: "win32", 64: "x64", armv7: "arm", "darwin-universal": "darwin" };

/** os, cpu and libc as a package's name tells them: `@rollup/rollup-linux-x64-musl`. */
function platformOf(name) {
  const words = name
    .split("/")
    .at(-1)
    .split("-")
    .map((word) => ALIASES[word] ?? word);
  const os = words.filter((word) => OPERATING_SYSTEMS.includes(word));
  const cpu = words.filter((word) => PROCESSORS.includes(word));
  const libc = words.flatMap((word) =>
    word === "musl" || word === "musleabihf" ? ["musl"] : /^gnu(eabihf)?$/.test(word) && os[0] === "linux" ? ["glibc"] : [],
  );
  return { ...(cpu.length ? { cpu } : {}), ...(libc.length ? { libc } : {}), ...(os.length ? { os } : {}) };
}

const path = new URL(process.argv[2] ?? "../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(path, "utf8"));
const added = [];
for (const [place, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${place}/node_modules/${name}`;
    const hoisted = `node_modules/${name}`;
    const platform = platformOf(name);
    if (nested in lock.packages || Object.keys(platform).length === 0) continue;
    // a hoisted entry serves only if it is of the wanted version
    const at = hoisted in lock.packages && lock.packages[hoisted].version !== version ? nested : hoisted;
    if (at in lock.packages) continue;
    lock.packages[at] = { version, ...platform, ...(entry.dev ? { dev: true } : {}), license: entry.license, optional: true };
    added.push(at);
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added.length} packages of other platforms added`);

/** fetch that tries again after failures that pass: a dropped connection, a server that is busy. */
import { CheckpointError } from "@trimtab/core";

const TRIES = 4;
const FIRST_DELAY_MS = 300;
const LONGEST_DELAY_MS = 30_000;
const PASSING: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

/** The response, whatever its status, once a try gave one that more tries would not better. Throws CheckpointError where none did. */
export async function fetchAgain(url: URL, init: RequestInit): Promise<Response> {
  let problem = "";
  for (let tried = 1; ; tried++) {
    let wait = FIRST_DELAY_MS * 2 ** (tried - 1);
    try {
      const response = await fetch(url, init);
      if (!PASSING.includes(response.status)) return response;
      problem = `status ${response.status}`;
      wait = Math.max(wait, 1000 * (Number(response.headers.get("Retry-After")) || 0));
    } catch (error) {
      problem = (error as Error).message;
    }
    if (tried === TRIES) break;
    await new Promise((resolve) => setTimeout(resolve, Math.min(wait, LONGEST_DELAY_MS)));
  }
  throw new CheckpointError(
    `${nameOf(url)}: the file must come from ${url.origin}, got ${problem} in ${TRIES} tries. Check the connection and the address; a server of another origin must allow this one (CORS).`,
    { file: nameOf(url) },
  );
}

/** The last part of a URL's path. */
export function nameOf(url: URL): string {
  return decodeURIComponent(url.pathname.split("/").at(-1) ?? "");
}

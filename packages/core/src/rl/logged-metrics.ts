/** Numbers that a user's own code logs under names of its choice during a round. */
export class LoggedMetrics {
  readonly #values = new Map<string, number[]>();

  log(name: string, value: number): void {
    const values = this.#values.get(name);
    if (values) values.push(value);
    else this.#values.set(name, [value]);
  }

  /** The mean of what was logged under each name. */
  means(): Record<string, number> {
    return Object.fromEntries([...this.#values].map(([name, values]) => [name, values.reduce((a, b) => a + b, 0) / values.length]));
  }
}

/** Ctrl-C: the first asks the run to finish its step and save, the second ends the process at once. */

export interface Interrupt {
  /** The exit code to end with once the step is saved; undefined while nobody asked. */
  readonly exitCode: number | undefined;
  /** Gives the signals back to Node. */
  dispose(): void;
}

const CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** Listens for SIGINT and SIGTERM until disposed; `onFirst` tells the user what happens now. */
export function listenForInterrupt(onFirst: () => void): Interrupt {
  let exitCode: number | undefined;
  const handlers = Object.entries(CODES).map(([signal, code]) => {
    const handler = () => {
      if (exitCode !== undefined) process.exit(code);
      exitCode = code;
      onFirst();
    };
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  return {
    get exitCode() {
      return exitCode;
    },
    dispose() {
      for (const remove of handlers) remove();
    },
  };
}

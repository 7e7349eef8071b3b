/** Collects what the GPU reports late: scoped errors become typed errors that name the op and its shapes, at the next read or sync. */
import type { BoundCall } from "../bind";
import { DeviceError, OutOfMemoryError, type TrimtabError } from "../errors";

export class ErrorWatch {
  readonly #device: GPUDevice;
  #failures: TrimtabError[] = [];
  #checks = new Set<Promise<void>>();
  #lost: DeviceError | undefined;
  /** Resolves when the GPU is gone without having been given back. */
  readonly lost: Promise<DeviceError>;
  readonly #onUncaptured = (event: GPUUncapturedErrorEvent) => {
    this.#failures.push(
      new DeviceError(`webgpu: the device must accept every command, got: ${event.error.message}`, { cause: event.error }),
    );
  };

  constructor(device: GPUDevice) {
    this.#device = device;
    device.addEventListener("uncapturederror", this.#onUncaptured);
    this.lost = new Promise((resolve) => {
      device.lost.then(
        (info) => {
          if (this.#lost) return;
          this.#lost = new DeviceError(
            `webgpu: the device must be alive, got lost (${info.reason || "unknown"}): ${info.message} Make a new one.`,
          );
          resolve(this.#lost);
        },
        () => undefined,
      );
    });
  }

  /** Runs `work` in validation and out-of-memory scopes; `calls` are the ops that an error in it may belong to. */
  guard<T>(calls: () => readonly BoundCall[], work: () => T): T {
    this.#device.pushErrorScope("out-of-memory");
    this.#device.pushErrorScope("validation");
    try {
      return work();
    } finally {
      const named = calls();
      this.expect(this.#device.popErrorScope(), (error) => validationError(named, error));
      this.expect(this.#device.popErrorScope(), (error) => memoryError(named, error));
    }
  }

  /** Remembers a failing allocation of `bytes`. */
  expectMemory(check: Promise<GPUError | null>, bytes: number): void {
    this.expect(
      check,
      (error) => new OutOfMemoryError(`alloc: ${bytes} bytes must fit the GPU, got: ${error.message}`, bytes, 0, { cause: error }),
    );
  }

  expect(check: Promise<GPUError | null>, toError: (error: GPUError) => TrimtabError): void {
    const watched = check.then(
      (error) => {
        this.#checks.delete(watched);
        if (error) this.#failures.push(toError(error));
      },
      () => {
        this.#checks.delete(watched);
      },
    );
    this.#checks.add(watched);
  }

  /** Throws when the device is gone. */
  requireAlive(what: string): void {
    if (this.#lost) throw new DeviceError(`${what}: ${this.#lost.message}`, { cause: this.#lost });
  }

  /** Makes every later call fail with `reason`. */
  close(reason: DeviceError): void {
    this.#lost = reason;
    this.#device.removeEventListener("uncapturederror", this.#onUncaptured);
  }

  /** Waits for the reports of everything so far and throws the first failure; memory before the validation errors it causes. */
  async settle(): Promise<void> {
    await Promise.all(this.#checks);
    if (this.#failures.length === 0) return;
    const failures = this.#failures;
    this.#failures = [];
    throw failures.find((failure) => failure instanceof OutOfMemoryError) ?? failures[0];
  }
}

function validationError(calls: readonly BoundCall[], error: GPUError): DeviceError {
  return new DeviceError(`${suspects(calls, error.message)}: the GPU must accept the command, got: ${error.message}`, { cause: error });
}

function memoryError(calls: readonly BoundCall[], error: GPUError): OutOfMemoryError {
  return new OutOfMemoryError(`${suspects(calls, error.message)}: must fit the GPU's memory, got: ${error.message}`, 0, 0, {
    cause: error,
  });
}

/** The op an error belongs to, with shapes: the one whose name the driver mentions, or the only one; else how to find out. */
function suspects(calls: readonly BoundCall[], message: string): string {
  const mentioned = calls.filter((call) => message.includes(call.entry.name));
  const call = (mentioned.length > 0 ? mentioned : calls).at(-1);
  if (!call) return "webgpu";
  if (mentioned.length > 0 || calls.length === 1) return describe(call);
  return `one of ${calls.length} dispatches ending with ${describe(call)} (make the device with debug: true to know which)`;
}

/** `rms_norm_forward(x (3, 8), w (8))` */
function describe({ entry, tensors }: BoundCall): string {
  const parts = entry.tensors.flatMap((spec, i) => {
    const tensor = tensors[i];
    return tensor ? [`${spec.name} (${tensor.shape.join(", ")})`] : [];
  });
  return `${entry.name}(${parts.join(", ")})`;
}

/** The typed errors of the compute layer. Every message says what must hold, what came, and what to do. */

/** Base class of every error Trimtab throws on purpose; `code` is stable and meant for programs. */
export class TrimtabError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    // From the code and not from the class, whose name a minifier changes.
    this.name = nameOf(code);
    this.code = code;
  }
}

/** OUT_OF_MEMORY becomes OutOfMemoryError. */
function nameOf(code: string): string {
  const words = code.split("_").map((word) => word.charAt(0) + word.slice(1).toLowerCase());
  return `${words.join("")}Error`;
}

/** A tensor's shape or dtype does not fit the contract of the op that received it. */
export class ShapeError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("SHAPE", message, options);
  }
}

/** A contract itself is malformed (a bug in Trimtab or in a user's own op). */
export class ContractError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("CONTRACT", message, options);
  }
}

/** A device is missing, was lost, or refused an operation; `cause` holds the driver's own words where there are any. */
export class DeviceError extends TrimtabError {
  constructor(message: string, options?: ErrorOptions) {
    super("DEVICE", message, options);
  }
}

/** An allocation does not fit the device: `requestedBytes` against `availableBytes`. */
export class OutOfMemoryError extends TrimtabError {
  readonly requestedBytes: number;
  readonly availableBytes: number;
  constructor(message: string, requestedBytes: number, availableBytes: number, options?: ErrorOptions) {
    super("OUT_OF_MEMORY", message, options);
    this.requestedBytes = requestedBytes;
    this.availableBytes = availableBytes;
  }
}

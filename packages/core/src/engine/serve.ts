/** Serving an engine to the application on the other end of an endpoint. */
import { expose } from "comlink";
import type { EngineHost } from "./host";
import { outcomeOf } from "./outcome";
import type { Answering, EngineEndpoint, EngineService } from "./protocol";
import { Service } from "./service";

/** Serves the one application that calls `connectEngine` on the other end. Nothing is opened before it does. */
export function serveEngine<Place>(endpoint: EngineEndpoint, host: EngineHost<Place>): void {
  expose(answering(new Service(host as EngineHost<unknown>)), endpoint as never);
}

/** Every method answers with an outcome: a thrown error would arrive without its class and fields. */
function answering(service: EngineService): Answering<EngineService> {
  const methods = service as unknown as Record<string, (...args: unknown[]) => unknown>;
  return new Proxy({} as Answering<EngineService>, {
    get:
      (_, name) =>
      (...args: unknown[]) =>
        outcomeOf(() => methods[name as string]?.(...args)),
  });
}

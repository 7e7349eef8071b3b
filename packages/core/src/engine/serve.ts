/** Serving an engine to the application on the other end of an endpoint. */
import { expose, transfer } from "comlink";
import type { EngineHost } from "./host";
import { type Outcome, outcomeOf } from "./outcome";
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
      async (...args: unknown[]) => {
        const outcome = await outcomeOf(() => methods[name as string]?.(...args));
        return name === "modelFiles" ? handedOver(outcome as Outcome<Files>) : outcome;
      },
  });
}

type Files = Awaited<ReturnType<EngineService["modelFiles"]>>;

/** The bytes of a whole model move to the other thread: what is copied would be there twice. */
function handedOver(outcome: Outcome<Files>): Outcome<Files> {
  if (!("value" in outcome)) return outcome;
  const buffers = [...outcome.value.values()].map(({ buffer }) => buffer);
  return transfer(outcome, buffers as never);
}

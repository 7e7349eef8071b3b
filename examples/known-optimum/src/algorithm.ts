/** What the program knows of an algorithm: how it is started, and what is measured of what it makes. */
import { type Device, type LanguageModel, newLanguageModel } from "@trimtab/node";
import { tokenizer } from "./task";

export interface Arena {
  readonly device: Device;
  readonly seed: number;
}

/** A figure of the trained model beside the best it could be. */
export interface Reached {
  readonly value: number;
  readonly optimum: number;
}

/** A run that has begun. */
export interface Run {
  /** The trainer's steps. */
  readonly steps: AsyncIterable<unknown>;
  readonly measure: () => Promise<Reached>;
  /** Further figures of the end, by name. */
  readonly further?: () => Promise<Readonly<Record<string, number>>>;
  readonly dispose: () => void;
}

export interface Algorithm {
  readonly name: string;
  /** Its page in docs/algorithms. */
  readonly page: string;
  /** What is measured. */
  readonly measures: string;
  /** What sets it apart from the algorithm's defaults, in words. */
  readonly setting: string;
  readonly stepCount: number;
  /** Least percentage of the optimum that is asked for. Default 95. */
  readonly goal?: number;
  readonly start: (arena: Arena) => Promise<Run>;
}

/** One layer of 16 channels over the task's 19 tokens; nearly uniform at first. */
export function tinyModel({ device, seed }: Arena, initializerRange = 0.1): LanguageModel {
  return newLanguageModel(device, { hiddenSize: 16, layers: 1, heads: 2, maxPositions: 16, initializerRange }, tokenizer, seed);
}

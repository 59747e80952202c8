/** Faults of calls. The first fault that matches a request applies, as many times as it says. */
import type { Answer } from './answers.ts';

/** `lose-answer` makes the change and drops the answer. */
export type ArmFaultEffect = Answer | 'hang' | 'reset' | 'garbage' | 'lose-answer';

export interface ArmFault {
  readonly method?: string;
  /** Matches the path with its query. */
  readonly path?: RegExp;
  readonly with: ArmFaultEffect;
  /** Number of requests. Default: all. */
  readonly times?: number;
}

export class Faults {
  #faults: readonly { readonly fault: ArmFault; readonly timesLeft: number }[] = [];

  add(fault: ArmFault): void {
    this.#faults = [...this.#faults, { fault, timesLeft: fault.times ?? Number.POSITIVE_INFINITY }];
  }

  clear(): void {
    this.#faults = [];
  }

  take(method: string, path: string): ArmFaultEffect | null {
    const found = this.#faults.find(
      ({ fault }) => (fault.method ?? method) === method && (fault.path?.test(path) ?? true),
    );
    if (found === undefined) return null;
    this.#faults = this.#faults
      .map((one) => (one === found ? { ...one, timesLeft: one.timesLeft - 1 } : one))
      .filter(({ timesLeft }) => timesLeft > 0);
    return found.fault.with;
  }
}

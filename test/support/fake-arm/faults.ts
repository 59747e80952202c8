/** What is to go wrong with calls: the first fault that fits a request is used, and used up. */
import type { Answer } from './answers.ts';

/** `unheard`: the change is made, and the answer is lost. */
export type Trouble = Answer | 'hang' | 'reset' | 'babble' | 'unheard';

export interface Fault {
  readonly method?: string;
  /** Of the path with its query. */
  readonly path?: RegExp;
  readonly with: Trouble;
  /** How many requests; all of them, where it is not given. */
  readonly times?: number;
}

export class Faults {
  #faults: readonly { readonly fault: Fault; readonly timesLeft: number }[] = [];

  add(fault: Fault): void {
    this.#faults = [...this.#faults, { fault, timesLeft: fault.times ?? Number.POSITIVE_INFINITY }];
  }

  clear(): void {
    this.#faults = [];
  }

  take(method: string, path: string): Trouble | null {
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

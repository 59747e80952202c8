/**
 * The changes of one scale set that were accepted and are not over yet, as far as this process knows: a raise and a removal at
 * most. Each is asked after once per look. A failure becomes a refusal, which is told once.
 *
 * That an operation cannot be asked after says nothing about it for a while. It is forgotten when the scale set says that nothing
 * is under way, and the service does not know the operation, or has not told of it for minutes.
 */
import type { Clock } from '../../shared/runtime/clock.ts';
import { type Raise, refusalOf } from './arm-errors.ts';
import { armFailureOf } from './arm-failure.ts';
import type { ComputeCalls, Operation } from './compute-calls.ts';
import type { Refusal } from './fleet.ts';

/** Longer than Azure tries to boot a machine: 40 minutes, and 30 more where it is to try again. */
const LONGEST_MS = 2 * 3_600_000;
const SILENT_MAX_MS = 3 * 60_000;

interface Running {
  readonly operation: string;
  /** Null for a removal. */
  readonly raise: Raise | null;
  /** Those that are removed. */
  readonly instanceIds: readonly string[];
  readonly startedAtMs: number;
  readonly heardOfAtMs: number;
  /** To the service. */
  readonly isUnknown: boolean;
}

export class Operations {
  readonly #calls: ComputeCalls;
  readonly #clock: Clock;
  #running: readonly Running[] = [];
  #refusals: readonly Refusal[] = [];

  constructor(calls: ComputeCalls, clock: Clock) {
    this.#calls = calls;
    this.#clock = clock;
  }

  add(change: {
    readonly operation: Operation;
    readonly raise: Raise | null;
    readonly instanceIds: readonly string[];
  }): void {
    if (change.operation === null) return;
    const startedAtMs = this.#clock.monotonicMs();
    const started = { startedAtMs, heardOfAtMs: startedAtMs, isUnknown: false };
    this.#running = [...this.#running, { ...change, ...started, operation: change.operation }];
  }

  /** Asks once what became of each. */
  async ask(): Promise<void> {
    const asked = this.#running;
    const left = await Promise.all(asked.map((one) => this.#askOne(one)));
    const addedMeanwhile = this.#running.filter((one) => !asked.includes(one));
    this.#running = [...left.filter((one) => one !== null), ...addedMeanwhile];
  }

  /** For a scale set that says that nothing is under way. */
  forgetLost(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#running = this.#running.filter(
      ({ isUnknown, heardOfAtMs }) => !isUnknown && nowMs - heardOfAtMs < SILENT_MAX_MS,
    );
  }

  areRunning(): boolean {
    return this.#running.length > 0;
  }

  areRemoving(): boolean {
    return this.#running.some(({ raise }) => raise === null);
  }

  isRemoving(instanceId: string): boolean {
    return this.#running.some(({ instanceIds }) => instanceIds.includes(instanceId));
  }

  takeRefusal(): Refusal | null {
    const [first = null, ...others] = this.#refusals;
    this.#refusals = others;
    return first;
  }

  async #askOne(one: Running): Promise<Running | null> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - one.startedAtMs > LONGEST_MS) return null;
    try {
      const state = await this.#calls.readOperation(one.operation);
      if (state.kind === 'running') return { ...one, operation: state.operation, heardOfAtMs: nowMs };
      if (state.kind === 'failed') this.#refusals = [...this.#refusals, refusalOf(state.failure, one.raise)];
      return null;
    } catch (error) {
      const { status } = armFailureOf(error, this.#clock.now().getTime());
      return { ...one, isUnknown: status !== null && status < 500 && status !== 429 };
    }
  }
}

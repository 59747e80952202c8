/**
 * The running changes of one scale set that this process started: at most one raise and one removal. Each look polls each of
 * them once. A failed change becomes a refusal, which is returned once.
 *
 * A failed poll says nothing about the operation. An operation is dropped if the scale set reports no change in progress and
 * Azure either does not know the operation or has not answered a poll for three minutes.
 */
import type { Clock } from '../../shared/runtime/clock.ts';
import { type Raise, refusalFrom } from './arm-errors.ts';
import { armFailureOf } from './arm-failure.ts';
import type { ComputeCalls, OperationHandle } from './compute-calls.ts';
import type { Refusal } from './fleet.ts';

/** Longer than Azure tries to boot an instance: 40 minutes, and 30 more for a retry. */
const OPERATION_MS_MAX = 2 * 3_600_000;
const UNANSWERED_MS_MAX = 3 * 60_000;

interface RunningChange {
  readonly operation: string;
  /** Null for a removal. */
  readonly raise: Raise | null;
  /** Instances that the change removes. */
  readonly instanceIds: readonly string[];
  readonly startedAtMs: number;
  readonly answeredAtMs: number;
  /** Azure does not know the operation. */
  readonly isUnknown: boolean;
}

export class PendingOperations {
  readonly #calls: ComputeCalls;
  readonly #clock: Clock;
  #running: readonly RunningChange[] = [];
  #refusals: readonly Refusal[] = [];

  constructor(calls: ComputeCalls, clock: Clock) {
    this.#calls = calls;
    this.#clock = clock;
  }

  add(change: {
    readonly operation: OperationHandle;
    readonly raise: Raise | null;
    readonly instanceIds: readonly string[];
  }): void {
    if (change.operation === null) return;
    const startedAtMs = this.#clock.monotonicMs();
    const started = { startedAtMs, answeredAtMs: startedAtMs, isUnknown: false };
    this.#running = [...this.#running, { ...change, ...started, operation: change.operation }];
  }

  /** Polls each operation once. */
  async poll(): Promise<void> {
    const polled = this.#running;
    const left = await Promise.all(polled.map((one) => this.#pollOne(one)));
    const addedMeanwhile = this.#running.filter((one) => !polled.includes(one));
    this.#running = [...left.filter((one) => one !== null), ...addedMeanwhile];
  }

  /** Call it when the scale set reports no change in progress. */
  dropLost(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#running = this.#running.filter(
      ({ isUnknown, answeredAtMs }) => !isUnknown && nowMs - answeredAtMs < UNANSWERED_MS_MAX,
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

  async #pollOne(one: RunningChange): Promise<RunningChange | null> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - one.startedAtMs > OPERATION_MS_MAX) return null;
    try {
      const state = await this.#calls.readOperation(one.operation);
      if (state.kind === 'running') return { ...one, operation: state.operation, answeredAtMs: nowMs };
      if (state.kind === 'failed')
        this.#refusals = [...this.#refusals, refusalFrom(state.failure, one.raise)];
      return null;
    } catch (error) {
      const { status } = armFailureOf(error, this.#clock.now().getTime());
      return { ...one, isUnknown: status !== null && status < 500 && status !== 429 };
    }
  }
}

/**
 * Distinguishes a second Ctrl-C from one key press that arrives twice.
 *
 * A terminal sends SIGINT to every process of the foreground group. `npm run` is one of them, and forwards the signal to its
 * script, which has already received it: one key press arrives twice, some milliseconds apart.
 */
import { type Clock, systemClock } from './clock.ts';

/** npm forwards within milliseconds, on a busy machine within a few hundred. A user reads a line before pressing again. */
export const SAME_PRESS_MS = 1_000;

type StopSignal = 'SIGINT' | 'SIGTERM';

interface StopSignalActions {
  /** Called once, for the first signal: stop in order. */
  readonly first: (signal: StopSignal) => void;
  /** Called for every later signal that is not the same key press: stop at once. */
  readonly again: (signal: StopSignal) => void;
}

interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown;
}

/** Handles SIGINT and SIGTERM until the process ends. From now on, neither ends it by default. */
export function onStopSignals(
  { first, again }: StopSignalActions,
  { clock = systemClock, source = process }: { readonly clock?: Clock; readonly source?: SignalSource } = {},
): void {
  let firstAtMs: number | undefined;
  const receive = (signal: StopSignal): void => {
    const nowMs = clock.monotonicMs();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      first(signal);
    } else if (nowMs - firstAtMs > SAME_PRESS_MS) {
      again(signal);
    }
  };
  source.on('SIGINT', () => receive('SIGINT'));
  source.on('SIGTERM', () => receive('SIGTERM'));
}

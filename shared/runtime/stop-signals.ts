/**
 * Tells a person who presses Ctrl-C again from one key press that arrives twice.
 *
 * A terminal sends SIGINT to every process of the foreground group. `npm run` is one of them, and forwards what it receives to the
 * script, which has the signal already: one key press arrives twice, some milliseconds apart.
 */
import { type Clock, systemClock } from './clock.ts';

/** npm forwards within milliseconds, on a busy machine within some hundred; a person who presses again has read a line first. */
export const SAME_PRESS_MS = 1_000;

type StopSignal = 'SIGINT' | 'SIGTERM';

interface StopSignalActions {
  /** Called once, for the first signal: stop in order. */
  readonly first: (signal: StopSignal) => void;
  /** Called for each signal that is no repetition of the first: stop at once. */
  readonly again: (signal: StopSignal) => void;
}

interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown;
}

/** Handles SIGINT and SIGTERM for the rest of the process's life: neither ends it by itself any more. */
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

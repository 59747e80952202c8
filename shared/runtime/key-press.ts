/**
 * Ctrl-C, counted by key presses and not by signals. The terminal sends SIGINT to npm and to the program that npm has started, and
 * npm forwards its own: one key press arrives twice.
 */

/** The two signals of one key press are milliseconds apart; a person who presses twice takes longer than this. */
const SAME_PRESS_MS = 1_000;

export interface KeyPresses {
  readonly first: () => void;
  /** Pressed again, later: the program is to end at once. */
  readonly again: () => void;
}

/** Calls back for SIGINT: `first` once, then `again` for each that is no echo of the one before. */
export function onKeyPress({ first, again }: KeyPresses): void {
  let lastAtMs: number | undefined;
  process.on('SIGINT', () => {
    const beforeMs = lastAtMs;
    lastAtMs = performance.now();
    if (beforeMs === undefined) first();
    else if (lastAtMs - beforeMs > SAME_PRESS_MS) again();
  });
}

/**
 * Stops a program when the npm that started it is killed, because npm does not tell its scripts. The scripts use `exec node …`, so
 * that npm is the parent of the program. A program that was not started by npm may outlive its parent on purpose (nohup, a
 * service manager) and is not watched.
 */
import type { Environment } from './environment.ts';

const LOOK_EVERY_MS = 500;

/** Calls `onGone` once, when npm has ended. */
export function watchParent(environment: Environment, onGone: () => void): void {
  if (environment['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, LOOK_EVERY_MS);
  timer.unref();
}

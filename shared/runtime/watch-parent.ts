/**
 * Stops a program when the npm that started it has gone: npm is killed without its scripts hearing of it. The scripts say
 * `exec node …`, so that npm is the program's parent. Without npm, a program may well outlive its parent on purpose (nohup, a
 * service manager), and is left alone.
 */
import type { Environment } from './environment.ts';

const LOOK_EVERY_MS = 500;

/** Calls `onGone` once. */
export function watchParent({
  environment,
  onGone,
}: {
  readonly environment: Environment;
  readonly onGone: () => void;
}): void {
  if (environment['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, LOOK_EVERY_MS);
  timer.unref();
}

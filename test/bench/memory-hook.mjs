/**
 * Loaded into a program under measurement (`node --import`). On SIGUSR2 it collects garbage and appends the bytes in use, on and off the heap,
 * as a line to the file FRAMEFLEET_BENCH_MEMORY with the process id as its extension.
 */
import { appendFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

const file = process.env['FRAMEFLEET_BENCH_MEMORY'];
if (isMainThread && file !== undefined) {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc');
  process.on('SIGUSR2', () => {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    appendFileSync(`${file}.${process.pid}`, `${heapUsed + external}\n`);
  });
}

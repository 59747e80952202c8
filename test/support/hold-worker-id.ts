/**
 * Claims a worker id, tells its parent, and holds the id until it is killed: `node hold-worker-id.ts <worker id>`. With `leave` as
 * second argument it exits.
 */
import { describeError } from '../../shared/runtime/errors.ts';
import { holdWorkerId } from '../../worker/host/one-per-gpu.ts';

const [workerId = '', leave] = process.argv.slice(2);
try {
  await holdWorkerId(workerId);
  process.send?.('held');
} catch (error) {
  process.send?.(describeError(error));
}
if (leave === undefined) process.on('disconnect', () => process.exit());
else process.disconnect();

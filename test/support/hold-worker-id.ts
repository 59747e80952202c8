/**
 * A process that becomes the one worker of an id, tells its parent, and stays: to be killed. `node hold-worker-id.ts <worker id>`.
 * As `node hold-worker-id.ts <worker id> leave` it has nothing more to do, and ends by itself.
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

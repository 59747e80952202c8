/** A producer that runs a step that never finishes, until it is killed. `node hold-step.ts <redis url>`. */
import { Steps } from '../../producer/jobs/steps.ts';
import { connectRedis } from '../../shared/redis/redis.ts';
import { silentLog as log } from './silent-log.ts';

const [url = ''] = process.argv.slice(2);
const redis = await connectRedis(url, log);
const steps = new Steps(redis, log);
const neverAborted = new AbortController();
steps.process(
  'split',
  {
    run: ({ jobId }) => {
      process.send?.({ running: jobId });
      return new Promise<void>(() => undefined);
    },
    failed: () => Promise.resolve(),
  },
  { concurrency: 1, signal: neverAborted.signal },
);

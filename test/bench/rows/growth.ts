/** How the scaler's decision grows with the fleet, and the producer's ledger with the job: linear or better. */
import { decide } from '../../../scaler/decide/decide.ts';
import { INITIAL_MEMORY } from '../../../scaler/decide/memory.ts';
import { Ledger } from '../../../shared/redis/ledger.ts';
import { buildDefinition, firstSplit } from '../../support/build-job.ts';
import { buildJob, buildObservation } from '../../support/build-observation.ts';
import { POLICY } from '../../support/scaler-fixture.ts';
import { startTestRedis } from '../../support/servers.ts';
import { connect } from '../../support/test-redis.ts';
import type { Scenario } from '../scenario.ts';

const INSTANCES = { few: 10, many: 1_000 };
const BATCHES = { few: 1_000, many: 100_000 };
const BATCH_FRAMES = 32;
const MS_MIN = 200;

export const growth: Scenario = {
  figures: [
    {
      name: 'decide-growth',
      title: `Scaling decision for ${INSTANCES.many} instances`,
      unit: 'times the cost an instance',
      against: `${INSTANCES.few} instances`,
      target: { max: 1 },
    },
    {
      name: 'ledger-growth',
      title: `Ledger: claim and resolve of a batch, ${BATCHES.many} batches`,
      unit: 'times the cost a batch',
      against: `${BATCHES.few} batches`,
      target: { max: 1.2 },
    },
  ],
  measure: async () => {
    // Code that runs for the first time is compiled meanwhile: the first figure would pay for that.
    decideMs(INSTANCES.few);
    decideMs(INSTANCES.many);
    await ledgerMs(BATCHES.few);
    return {
      'decide-growth': decideMs(INSTANCES.many) / INSTANCES.many / (decideMs(INSTANCES.few) / INSTANCES.few),
      'ledger-growth': (await ledgerMs(BATCHES.many)) / (await ledgerMs(BATCHES.few)),
    };
  },
};

/** One decision about a fleet of which half is busy. */
function decideMs(instances: number): number {
  const machines = Array.from({ length: instances }, (_, index) => ({
    says: index % 2 === 0 ? ('busy' as const) : ('idle' as const),
  }));
  const seen = buildObservation(machines, { backlog: [buildJob(600)], messagesApprox: 20 });
  const policy = { ...POLICY, capacityMax: instances };
  let rounds = 0;
  const startedMs = performance.now();
  while (performance.now() - startedMs < MS_MIN) {
    decide(seen, policy, INITIAL_MEMORY);
    rounds += 1;
  }
  return (performance.now() - startedMs) / rounds;
}

/** Ms a batch, over the last thousand batches of a job. */
async function ledgerMs(batches: number): Promise<number> {
  await using server = await startTestRedis();
  using connections = await connect(server);
  const ledger = new Ledger(connections.first);
  const jobId = 'job-growth';
  const split = firstSplit(jobId);
  await ledger.open(buildDefinition(jobId), 1);
  await ledger.move(jobId, 'running');
  const frames = batches * BATCH_FRAMES;
  await ledger.planSplit(split, { batchSize: BATCH_FRAMES, framesExpected: frames, megapixelsPerFrame: 1 });
  await ledger.finishSplit(split, frames);
  const done = frames - 1_000 * BATCH_FRAMES;
  for (let start = 0; start < done; start += 100_000)
    await ledger.resolve(split, {
      batchIndex: null,
      scored: [[start, Math.min(done, start + 100_000)]],
      failed: [],
      nowMs: 1,
    });
  // The first claim passes over all resolved batches.
  await ledger.claimBatch(split, 1);
  const startedMs = performance.now();
  let count = 0;
  for (;;) {
    const batch = await ledger.claimBatch(split, 1);
    if (batch === undefined) break;
    const { batchIndex, frameStart, frameEnd } = batch;
    await ledger.resolve(split, { batchIndex, scored: [[frameStart, frameEnd]], failed: [], nowMs: 1 });
    count += 1;
  }
  const ms = (performance.now() - startedMs) / count;
  return ms;
}

/**
 * The scaler's loop on a real Azurite and a real Redis, with an in-memory fleet and heartbeats that the test writes. A pass is a tick:
 * nothing happens in between.
 */
import { Leadership } from '../../scaler/leader.ts';
import { scalerMetrics } from '../../scaler/metrics.ts';
import { BootTimes } from '../../scaler/observe/boot-times.ts';
import { StorageClock } from '../../scaler/observe/storage-clock.ts';
import { OverrideStore } from '../../scaler/override/store.ts';
import { POLICY_DEFAULTS, type Policy } from '../../scaler/policy.ts';
import { RatesPublisher } from '../../scaler/rates.ts';
import { ScalerState } from '../../scaler/scaler-state.ts';
import { ScalerLoop, type ScalerLoopOptions } from '../../scaler/tick.ts';
import { PATIENT } from '../../shared/azure/credentials.ts';
import { type WorkQueue, openWorkQueue } from '../../shared/azure/work-queue.ts';
import { drainBlob, heartbeatBlob } from '../../shared/contract/blob-names.ts';
import { type Heartbeat, heartbeatMetadata } from '../../shared/contract/heartbeat.ts';
import { QUEUES } from '../../shared/contract/storage-layout.ts';
import { Ledger } from '../../shared/redis/ledger.ts';
import { Spending } from '../../shared/redis/spending.ts';
import { WorkRates } from '../../shared/redis/work-rates.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { MemoryFleet } from './memory-fleet.ts';
import { buildBeat } from './scaler-tick.ts';
import { type TestRedis, type TestStorage, startTestRedis, startTestStorage } from './servers.ts';
import { silentLog as log } from './silent-log.ts';
import { type Connections, connect } from './test-redis.ts';

export const POLICY: Policy = {
  ...POLICY_DEFAULTS,
  pricePerHour: { gpu: 3600 },
  idleMsMin: 0,
  idleMsUnmeasured: 0,
  writeEveryMs: 0,
};

export interface ScalerFixture extends AsyncDisposable {
  readonly storage: TestStorage;
  readonly server: TestRedis;
  readonly redis: Connections['first'];
  readonly ledger: Ledger;
  readonly spending: Spending;
  readonly batches: WorkQueue;
  readonly fleet: MemoryFleet;
  /** Resets storage, Redis and the fleet. */
  clear(): Promise<void>;
  /** Another scaler on the same servers and the same fleet. */
  scaler(changes?: Partial<ScalerLoopOptions>): {
    readonly loop: ScalerLoop;
    readonly options: ScalerLoopOptions;
  };
  /** Writes a worker's heartbeat; if it has drained, with the etag of the current drain request. */
  says(vmId: string, fields?: Partial<Heartbeat>): Promise<void>;
  answersDrainRequest(vmId: string): Promise<void>;
}

export async function openScalerFixture(): Promise<ScalerFixture> {
  const [storage, server] = await Promise.all([startTestStorage(), startTestRedis()]);
  const connections = await connect(server);
  const redis = connections.first;
  const batches = await openWorkQueue(storage.accounts.system, QUEUES.frameBatches);
  let fleet = new MemoryFleet({ clock });
  const { blobs } = storage;
  const state = new ScalerState(redis);
  const [ledger, spending] = [new Ledger(redis), new Spending(redis)];
  let sequence = 0;
  const says: ScalerFixture['says'] = async (vmId, fields = {}) => {
    const stateSince = new Date(Date.now() - 1_000).toISOString();
    const beat = buildBeat(vmId, { sequence: (sequence += 1), stateSince, ...fields });
    await blobs.put('workers', heartbeatBlob(beat.workerId), '', { metadata: heartbeatMetadata(beat) });
  };
  return {
    storage,
    server,
    redis,
    ledger,
    spending,
    batches,
    get fleet() {
      return fleet;
    },
    clear: async () => {
      fleet = new MemoryFleet({ clock });
      await redis.flushall();
      for (const container of ['workers', 'control'] as const)
        for await (const { name } of blobs.list(container, {})) await blobs.remove(container, name);
      const queues = await storage.accounts.system.queues(PATIENT);
      await queues.getQueueClient(batches.name).clearMessages();
    },
    scaler: (changes = {}) => {
      const options: ScalerLoopOptions = {
        batches,
        blobs,
        ledger,
        spending,
        bootTimes: new BootTimes(state),
        storageClock: new StorageClock({ blobs, clock }),
        overrides: new OverrideStore({ blobs, clock, log }),
        rates: new RatesPublisher({ blobs, workRates: new WorkRates(redis) }),
        state,
        leader: new Leadership({ redis, name: 'scaler', leaseMs: 60_000, clock, log }),
        fleet,
        clock,
        log,
        signal: new AbortController().signal,
        metrics: scalerMetrics(),
        policy: POLICY,
        tickMs: 1_000,
        ...changes,
      };
      return { loop: new ScalerLoop(options), options };
    },
    says,
    answersDrainRequest: async (vmId) => {
      const request = await blobs.stat('control', drainBlob(vmId));
      if (request === undefined) throw new Error(`expected a drain request for ${vmId}`);
      await says(vmId, { state: 'drained', drainEtag: request.etag });
    },
    [Symbol.asyncDispose]: async () => {
      connections[Symbol.dispose]();
      await Promise.all([storage[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    },
  };
}

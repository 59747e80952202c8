/**
 * Carries out a decision. Skips removals that have become unsafe since it was made.
 *
 * Every action requires leadership. Before a removal, which cannot be undone, leadership is read again from Redis and the instances are
 * checked again in storage. Both readings are at most a second old.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { drainBlob } from '../../shared/contract/blob-names.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { Action, RemovalReason, RemoveAction, ScalingDecision } from '../decide/decision.ts';
import type { Fleet, Outcome } from '../fleet/fleet.ts';
import type { Leadership } from '../leader.ts';
import { readDrainRequests } from '../observe/drain-requests.ts';
import type { Observation } from '../observe/observation.ts';
import { readWorkers } from '../observe/workers.ts';
import { confirmRemoval } from './confirm-removal.ts';

/** An older reading may be out of date. */
const READING_MS_MAX = 1_000;

export interface ActServices {
  readonly blobs: BlobStore;
  readonly fleet: Fleet;
  readonly leader: Pick<Leadership, 'isLeading' | 'confirm'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Called with every answer of a pool. */
  readonly onOutcome: (pool: string, outcome: Outcome) => void;
  readonly onRemoved: (why: RemovalReason, count: number) => void;
}

/** One action after the other. An action that fails does not prevent the next. */
export async function act(
  { actions }: Pick<ScalingDecision, 'actions'>,
  observation: Observation,
  services: ActServices,
): Promise<void> {
  for (const action of actions) {
    if (!services.leader.isLeading) {
      services.log.warn({ action: action.kind }, 'leadership lost, remaining actions skipped');
      return;
    }
    try {
      await carryOut(action, observation, services);
    } catch (error) {
      services.log.warn({ error, action: action.kind }, 'action failed');
    }
  }
}

async function carryOut(action: Action, observation: Observation, services: ActServices): Promise<void> {
  const { fleet, log, onOutcome } = services;
  switch (action.kind) {
    case 'scale-out': {
      log.info({ pool: action.pool, total: action.total }, 'scaling out');
      const outcome = await fleet.scaleOut(action.pool, action.total);
      logRefusal(action.pool, outcome, log);
      onOutcome(action.pool, outcome);
      return;
    }
    case 'drain':
      await Promise.all(action.vmIds.map((vmId) => requestDrain(vmId, action.why, services)));
      return;
    case 'remove':
      await remove(action, observation, services);
      return;
  }
}

/** An existing request is never replaced: workers quote its etag. */
async function requestDrain(vmId: string, why: string, { blobs, clock, log }: ActServices): Promise<void> {
  const body = JSON.stringify({ why, askedAt: clock.now().toISOString() });
  const written = await blobs.put('control', drainBlob(vmId), body, {
    contentType: 'application/json',
    onlyIfAbsent: true,
  });
  if (written === 'created') log.info({ vmId, reason: why }, 'drain requested');
}

async function remove(action: RemoveAction, observation: Observation, services: ActServices): Promise<void> {
  const { blobs, fleet, leader, clock, log, onOutcome, onRemoved } = services;
  const { pool, instanceIds, why, basis } = action;
  const readAtMs = clock.monotonicMs();
  const [workers, drainRequests] = await Promise.all([readWorkers(blobs), readDrainRequests(blobs)]);
  const confirmed = confirmRemoval(action, observation, { workers, drainRequests });
  if (confirmed.length < instanceIds.length) {
    const counts = { named: instanceIds.length, confirmed: confirmed.length };
    log.info({ pool, reason: why, ...counts }, 'some removals are no longer safe and were skipped');
  }
  if (confirmed.length === 0) return;
  if (!(await leader.confirm())) {
    log.warn({ pool, reason: why }, 'removal skipped, leadership not confirmed');
    return;
  }
  if (clock.monotonicMs() - readAtMs > READING_MS_MAX) {
    log.warn({ pool, reason: why }, 'removal skipped, the last check took too long');
    return;
  }
  const instances = confirmed.map(({ instanceId, vmId }) => ({ instanceId, vmId }));
  log.info({ pool, reason: why, basis, instances }, 'removing instances');
  const outcome = await fleet.remove(
    pool,
    confirmed.map(({ instanceId }) => instanceId),
  );
  logRefusal(pool, outcome, log);
  onOutcome(pool, outcome);
  if (outcome.kind === 'accepted') onRemoved(why, confirmed.length);
}

function logRefusal(pool: string, outcome: Outcome, log: Log): void {
  if (outcome.kind === 'accepted') return;
  const { reason, message, capacityThatFits, retryAfterMs } = outcome;
  log.warn({ pool, reason, message, capacityThatFits, retryAfterMs }, 'pool refused the change');
}

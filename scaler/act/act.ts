/**
 * Carries a decision out. Has no opinions: what is not in the decision does not happen, and what has changed since it was made is
 * not done.
 *
 * Leadership is looked at before every act. Before a removal, which cannot be undone, it is read again from Redis, and who is to go
 * is looked at once more in storage: both no older than a second.
 */
import type { BlobStore } from '../../shared/azure/blob-store.ts';
import { drainBlob } from '../../shared/contract/blob-names.ts';
import type { Clock } from '../../shared/runtime/clock.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { Action, RemovalReason, RemoveAction, ScalingDecision } from '../decide/decision.ts';
import type { Fleet, Outcome } from '../fleet/fleet.ts';
import type { Leadership } from '../leader.ts';
import type { Observation } from '../observe/observation.ts';
import { readDrainRequests, readWorkers } from '../observe/workers.ts';
import { whoMayGo } from './who-may-go.ts';

/** What was seen longer ago may have changed. */
const LOOK_MS_MAX = 1_000;

export interface ActParts {
  readonly blobs: BlobStore;
  readonly fleet: Fleet;
  readonly leader: Pick<Leadership, 'isLeading' | 'confirm'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Hears of every act that a pool has answered. */
  readonly onOutcome: (pool: string, outcome: Outcome) => void;
  readonly onRemoved: (why: RemovalReason, count: number) => void;
}

/** One after the other; one that fails does not keep the others from being tried. */
export async function act(
  { actions }: Pick<ScalingDecision, 'actions'>,
  observation: Observation,
  parts: ActParts,
): Promise<void> {
  for (const action of actions) {
    if (!parts.leader.isLeading) {
      parts.log.warn({ action: action.kind }, 'no longer leading: nothing more is done');
      return;
    }
    try {
      await carryOut(action, observation, parts);
    } catch (error) {
      parts.log.warn({ error, action: action.kind }, 'act failed');
    }
  }
}

async function carryOut(action: Action, observation: Observation, parts: ActParts): Promise<void> {
  const { fleet, log, onOutcome } = parts;
  switch (action.kind) {
    case 'scale-out': {
      log.info({ pool: action.pool, total: action.total }, 'scaling out');
      const outcome = await fleet.scaleOut(action.pool, action.total);
      tellRefusal(action.pool, outcome, log);
      onOutcome(action.pool, outcome);
      return;
    }
    case 'drain':
      await Promise.all(action.vmIds.map((vmId) => askToDrain(vmId, action.why, parts)));
      return;
    case 'remove':
      await remove(action, observation, parts);
      return;
  }
}

/** A request that stands is left alone: its etag is what workers consent to. */
async function askToDrain(vmId: string, why: string, { blobs, clock, log }: ActParts): Promise<void> {
  const body = JSON.stringify({ why, askedAt: clock.now().toISOString() });
  const asked = await blobs.put('control', drainBlob(vmId), body, {
    contentType: 'application/json',
    onlyIfAbsent: true,
  });
  if (asked === 'created') log.info({ vmId, why }, 'asked to drain');
}

async function remove(action: RemoveAction, observation: Observation, parts: ActParts): Promise<void> {
  const { blobs, fleet, leader, clock, log, onOutcome, onRemoved } = parts;
  const { pool, instanceIds, why, basis } = action;
  const lookedAtMs = clock.monotonicMs();
  const [workers, drainRequests] = await Promise.all([readWorkers(blobs), readDrainRequests(blobs)]);
  const going = whoMayGo(action, observation, { workers, drainRequests });
  if (going.length < instanceIds.length)
    log.info({ pool, why, named: instanceIds.length, going: going.length }, 'some may not go any more');
  if (going.length === 0) return;
  if (!(await leader.confirm())) {
    log.warn({ pool, why }, 'leadership is not confirmed: nobody is removed');
    return;
  }
  if (clock.monotonicMs() - lookedAtMs > LOOK_MS_MAX) {
    log.warn({ pool, why }, 'the last look took too long: nobody is removed');
    return;
  }
  const names = going.map(({ instanceId, vmId }) => ({ instanceId, vmId }));
  log.info({ pool, why, basis, instances: names }, 'removing instances');
  const outcome = await fleet.remove(
    pool,
    going.map(({ instanceId }) => instanceId),
  );
  tellRefusal(pool, outcome, log);
  onOutcome(pool, outcome);
  if (outcome.kind === 'accepted') onRemoved(why, going.length);
}

function tellRefusal(pool: string, outcome: Outcome, log: Log): void {
  if (outcome.kind === 'accepted') return;
  const { reason, message, capacityThatFits, retryAfterMs } = outcome;
  log.warn({ pool, reason, message, capacityThatFits, retryAfterMs }, 'the pool refused');
}
